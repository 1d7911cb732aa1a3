/**
 * The messages of a conversation as a tree: an edited question and a repeated answer begin a branch beside the old one.
 */

/**
 * @typedef {object} Measured
 * @property {number | null} firstS seconds until the first token
 * @property {number} totalS
 * @property {number | null} reasoningS seconds that the reasoning took
 * @property {number | null} tokens
 * @property {number | null} promptTokens
 * @property {number | null} cachedTokens
 * @property {string | null} finishReason
 */

/**
 * @typedef {object} Node one message and its place; it is never changed, but replaced
 * @property {string} id
 * @property {string | null} parent the message before it
 * @property {Record<string, any>} message as chat completions have it
 * @property {"writing" | "done" | "stopped" | "failed"} state
 * @property {{status: number | null, message?: string, code?: string | null, type?: string}} [error]
 * @property {string} [model]
 * @property {Measured} [measured]
 * @property {{content: any[]}} [logprobs]
 * @property {number} createdAt milliseconds
 * @property {Record<string, any>} [request] what was sent for this answer
 */

const ID_BYTES = 12;

/** Return a new id. (`crypto.randomUUID` exists only on pages with TLS.) */
export function createId() {
  const bytes = crypto.getRandomValues(new Uint8Array(ID_BYTES));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** The tree, and which of its branches are chosen. */
export class MessageTree {
  /** @type {Map<string, Node>} */
  #nodes = new Map();
  /** @type {Map<string | null, string[]>} */
  #children = new Map();
  /** @type {Map<string | null, string>} */
  #chosen = new Map();

  /**
   * @param {Node[]} nodes parents before their children
   * @param {[string | null, string][]} choices
   */
  constructor(nodes = [], choices = []) {
    for (const node of nodes) this.add(node);
    for (const [parent, id] of choices) if (this.#nodes.get(id)?.parent === parent) this.#chosen.set(parent, id);
  }

  /** All nodes, parents before their children. */
  get nodes() {
    return [...this.#nodes.values()];
  }

  /** The choices, where there is one. @returns {[string | null, string][]} */
  get choices() {
    return [...this.#chosen].filter(([parent]) => this.#children.get(parent).length > 1);
  }

  /** @param {Node} node which becomes the chosen one of its siblings */
  add(node) {
    if (this.#nodes.has(node.id)) throw new Error(`The node ${node.id} exists.`);
    const parent = this.#nodes.has(node.parent) ? node.parent : null;
    this.#nodes.set(node.id, node.parent === parent ? node : {...node, parent});
    this.#children.set(parent, [...(this.#children.get(parent) ?? []), node.id]);
    this.#chosen.set(parent, node.id);
  }

  /** @param {Node} node in place of the one with its id */
  replace(node) {
    this.#nodes.set(node.id, node);
  }

  /** @param {string} id @returns {Node | undefined} */
  get(id) {
    return this.#nodes.get(id);
  }

  /** The messages along the chosen branches, from the first one. @returns {Node[]} */
  path() {
    const found = [];
    for (let id = this.#chosen.get(null); id !== undefined; id = this.#chosen.get(id)) found.push(this.#nodes.get(id));
    return found;
  }

  /** The messages before a node, from the first one. @param {Node} node @returns {Node[]} */
  before(node) {
    const found = [];
    for (let at = this.#nodes.get(node.parent); at; at = this.#nodes.get(at.parent)) found.unshift(at);
    return found;
  }

  /** A node and the others in its place, the oldest first. @param {Node} node @returns {Node[]} */
  siblings(node) {
    return this.#children.get(node.parent).map((id) => this.#nodes.get(id));
  }

  /** Choose the branch of a node; what was chosen after it is chosen again. @param {Node} node */
  choose(node) {
    for (let at = node; at; at = this.#nodes.get(at.parent)) this.#chosen.set(at.parent, at.id);
  }
}
