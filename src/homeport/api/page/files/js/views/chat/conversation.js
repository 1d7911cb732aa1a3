/**
 * A conversation: its messages, and the answer that is being written. Knows nothing of how it is shown or kept.
 */
import {ApiError, requestEvents} from "../../client.js";
import {createSignal} from "../../signal.js";
import {AnswerCollector} from "./answer_stream.js";
import {buildRequest, packRequest, unpackRequest} from "./request.js";
import {settings} from "./settings_state.js";
import {createId, MessageTree} from "./tree.js";

const PATH = "/v1/chat/completions";
const FLUSH_MS = 50;
const SAVE_MS = 3000;
/** After a slow drawing the page gets at least this many times as long for other work. */
const REST_FACTOR = 3;

/** @typedef {import("./tree.js").Node} Node */

/**
 * @typedef {object} Stored a conversation as it is kept and exported
 * @property {string} id
 * @property {number} createdAt
 * @property {Node[]} nodes with packed requests
 * @property {[string | null, string][]} choices
 */

/** One conversation. At most one answer is written at a time. */
export class Conversation {
  /** What is written in the field and not sent yet. */
  draft = "";
  /** What is attached and not sent yet. @type {import("./attachments/attachment_files.js").Attachment[]} */
  attachments = [];
  /** Whether an answer is being written. @type {import("../../signal.js").Signal<boolean>} */
  writing = createSignal(false);
  /** The messages along the chosen branches. @type {import("../../signal.js").Signal<Node[]>} */
  messages = createSignal([]);
  /** Is told of nodes that were added or changed. @type {(conversation: Conversation, nodes: Node[]) => void} */
  onSave = () => {};
  #tree;
  /** @type {AbortController | null} */
  #control = null;

  /** @param {Partial<Stored>} [stored] */
  constructor({id = createId(), createdAt = Date.now(), nodes = [], choices = []} = {}) {
    this.id = id;
    this.createdAt = createdAt;
    this.#tree = new MessageTree(nodes, choices);
    for (const node of this.#tree.nodes) this.#tree.replace(unpackNode(node, this.#tree));
    this.#show();
  }

  /** @returns {Stored} */
  store() {
    const nodes = this.#tree.nodes.map(packNode);
    return {id: this.id, createdAt: this.createdAt, nodes, choices: this.#tree.choices};
  }

  /** All messages of all branches, parents before their children. */
  get nodes() {
    return this.#tree.nodes;
  }

  /** The choices of branches. */
  get choices() {
    return this.#tree.choices;
  }

  /** The messages along the chosen branches, from the first one. */
  path() {
    return this.messages.get();
  }

  /** @param {Node} node @returns {Node[]} the node and those in its place */
  siblings(node) {
    return this.#tree.siblings(node);
  }

  /**
   * Add what the user wrote, and write the answer to it.
   *
   * @param {Record<string, any>} message of role user
   */
  send(message) {
    return this.#extend(this.path().at(-1)?.id ?? null, [message]);
  }

  /** Write another answer in place of one. @param {Node} node an answer */
  retry(node) {
    return this.#extend(node.parent, []);
  }

  /**
   * Add another message in place of one of the user's, and write the answer to it.
   *
   * @param {Node} node
   * @param {Record<string, any>} message
   */
  edit(node, message) {
    return this.#extend(node.parent, [message]);
  }

  /**
   * Add the results of the calls in the last answer, and have the model continue.
   *
   * @param {{role: "tool", tool_call_id: string, content: string}[]} messages
   */
  answerTools(messages) {
    return this.#extend(this.path().at(-1).id, messages);
  }

  /** End the answer that is being written. The server stops to compute it. */
  stop() {
    this.#control?.abort();
  }

  /** Show the branch of a node. @param {Node} node */
  choose(node) {
    if (this.writing.get()) return;
    this.#tree.choose(node);
    this.#show();
    this.onSave(this, []);
  }

  /** Add messages after a node, each after the one before, and write the answer. */
  async #extend(parent, messages) {
    if (this.writing.get()) return;
    const added = [];
    for (const message of messages) {
      added.push({id: createId(), parent: added.at(-1)?.id ?? parent, message, state: "done", createdAt: Date.now()});
      this.#tree.add(added.at(-1));
    }
    const last = added.at(-1)?.id ?? parent;
    const path = last === null ? [] : [...this.#tree.before(this.#tree.get(last)), this.#tree.get(last)];
    const request = buildRequest(path, settings.get());
    const answer = {
      id: createId(), parent: last, message: {role: "assistant", content: ""}, state: "writing", model: request.model,
      createdAt: Date.now(), request,
    };
    this.#tree.add(answer);
    this.writing.set(true);
    this.#show();
    this.onSave(this, [...added, answer]);
    await this.#write(answer);
  }

  /** Read the answer's events until it ends, in whatever way. */
  async #write(answer) {
    const control = new AbortController();
    this.#control = control;
    const collector = new AnswerCollector();
    const update = (rest) => this.#replace({...answer, ...collector.snapshot(), ...rest});
    const flushes = new Throttle(() => update({}));
    const saves = setInterval(() => this.onSave(this, [this.#tree.get(answer.id)]), SAVE_MS);
    let ending = {state: "done"};
    try {
      for await (const event of requestEvents(PATH, {body: answer.request, signal: control.signal})) {
        collector.add(event);
        flushes.request();
      }
      if (!collector.isComplete) ending = {state: "failed", error: {status: null, code: "incomplete"}};
    } catch (error) {
      ending = control.signal.aborted ? {state: "stopped"} : {state: "failed", error: plainError(error)};
    }
    clearInterval(saves);
    flushes.cancel();
    this.#control = null;
    this.writing.set(false);
    update(ending);
    this.onSave(this, [this.#tree.get(answer.id)]);
  }

  #replace(node) {
    this.#tree.replace(node);
    this.#show();
  }

  #show() {
    this.messages.set(this.#tree.path());
  }
}

/** Return a node as it is kept: its request without messages, which are the path before it. @param {Node} node */
export function packNode({request, ...node}) {
  return request ? {...node, request: request.messages ? packRequest(request) : request} : node;
}

/** Return a kept node with its whole request. What was being written when the page was left has stopped. */
function unpackNode({request, ...node}, tree) {
  const state = node.state === "writing" ? "stopped" : node.state;
  return {...node, state, ...(request && {request: unpackRequest(request, tree.before(node))})};
}

/** Errors are kept as plain values, because the browser's database keeps no classes. */
function plainError(error) {
  if (!(error instanceof ApiError)) return {status: null};
  const {status, message, code, type, param} = error;
  return {status, message, code, type, param};
}

/** Runs a function a while after it is requested, and less often if it takes long. */
class Throttle {
  #timer = null;
  #tookMs = 0;

  /** @param {() => void} run */
  constructor(run) {
    this.run = run;
  }

  request() {
    this.#timer ??= setTimeout(() => {
      this.#timer = null;
      const began = performance.now();
      this.run();
      setTimeout(() => { // after the drawing, which the change has set off
        this.#tookMs = performance.now() - began;
      });
    }, Math.max(FLUSH_MS, REST_FACTOR * this.#tookMs));
  }

  cancel() {
    clearTimeout(this.#timer);
    this.#timer = null;
  }
}
