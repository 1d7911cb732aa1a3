/**
 * The request for an answer: the messages of a path through the conversation, and the settings. Sends nothing.
 */
import {fieldsForContent} from "./attachments/content_fields.js";

/**
 * Return the body of a request to `/v1/chat/completions`.
 *
 * @param {import("./tree.js").Node[]} path from the first message to the one to be answered
 * @param {import("./settings_state.js").ChatSettings} settings
 */
export function buildRequest(path, {model, fields, system, isTranscribed = false}) {
  const messages = messagesOf(path, system.trim() ? system : "");
  const needed = fieldsForContent(messages, {isTranscribed});
  return {model, messages, ...fields, ...needed, stream: true, stream_options: {include_usage: true}};
}

/**
 * A request without its messages, which the conversation has: so a long conversation is not stored once per answer.
 *
 * @param {Record<string, any>} request
 */
export function packRequest({messages, ...rest}) {
  return {rest, system: messages[0]?.role === "system" ? messages[0].content : ""};
}

/**
 * Return the whole request again.
 *
 * @param {{rest: Record<string, unknown>, system: string}} packed
 * @param {import("./tree.js").Node[]} path to the message that it had answered
 */
export function unpackRequest({rest: {model, ...rest}, system}, path) {
  return {model, messages: messagesOf(path, system), ...rest};
}

function messagesOf(path, system) {
  const sent = path.flatMap((node, i) => wireMessage(node.message, path.slice(i + 1)));
  return system ? [{role: "system", content: system}, ...sent] : sent;
}

/** Return a message as it is sent, in an array; an empty one if it has nothing to send. */
function wireMessage(message, later) {
  if (message.role !== "assistant") return [message];
  const {tool_calls: calls, audio, ...rest} = message;
  const isAnswered = calls?.length > 0 && calls.every((call, i) => later[i]?.message.tool_call_id === call.id);
  const sent = {...rest, ...(isAnswered && {tool_calls: calls}), ...(audio?.id && {audio: {id: audio.id}})};
  return sent.content || sent.refusal || isAnswered || sent.audio ? [sent] : [];
}
