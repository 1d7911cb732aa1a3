/**
 * The calls of a message and their results, as values. Knows nothing of how they are shown.
 */

/**
 * @typedef {object} Call
 * @property {string} id
 * @property {string} name
 * @property {string} input arguments as JSON, or a custom tool's text
 * @property {boolean} isText whether `input` is a text
 */

/**
 * @param {any} message OpenAI's message of role assistant
 * @returns {Call[]}
 */
export function callsOf(message) {
  return (Array.isArray(message.tool_calls) ? message.tool_calls : []).filter(Boolean).map((call) => {
    const isText = call.type === "custom";
    const {name = "", arguments: json = "", input = ""} = call[isText ? "custom" : "function"] ?? {};
    return {id: call.id ?? "", name, input: isText ? input : json, isText};
  });
}

/**
 * Find the results of calls, which are shown with the calls and not as messages of their own.
 *
 * @param {import("../tree.js").Node[]} path
 * @returns {Map<string, string[]>} the ids of the results' nodes by the ids of the nodes with the calls
 */
export function placeResults(path) {
  const places = new Map();
  path.forEach((node, i) => {
    const ids = new Set(node.message.role === "assistant" ? callsOf(node.message).map(({id}) => id) : []);
    if (!ids.size) return;
    const later = path.slice(i + 1);
    const end = later.findIndex(({message}) => message.role !== "tool" || !ids.has(message.tool_call_id));
    places.set(node.id, (end === -1 ? later : later.slice(0, end)).map(({id}) => id));
  });
  return places;
}

/**
 * @param {import("../tree.js").Node[]} nodes with messages of role tool
 * @returns {Map<string, string>} the results by the ids of the calls
 */
export function resultsOf(nodes) {
  return new Map(nodes.map(({message}) => [message.tool_call_id, textOf(message.content)]));
}

/**
 * Return the messages that answer calls.
 *
 * @param {Call[]} calls
 * @param {Record<string, string>} results by the ids of the calls
 */
export function toToolMessages(calls, results) {
  return calls.map(({id}) => ({role: "tool", tool_call_id: id, content: results[id] ?? ""}));
}

function textOf(content) {
  if (typeof content === "string") return content;
  return (content ?? []).map((part) => part.text ?? "").join("");
}
