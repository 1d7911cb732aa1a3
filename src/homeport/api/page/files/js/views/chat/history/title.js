/**
 * The title of a conversation: the begin of its first message.
 */
import {readTextPart, writtenText} from "../attachments/text_file.js";

const MAX_CHARS = 80;

/** @param {import("../tree.js").Node[]} path @returns {string} empty if the first message has no text */
export function titleOf(path) {
  const content = path.find((node) => node.message.role === "user")?.message.content;
  const text = writtenText(content) || nameOfFirst(content);
  const line = text.trim().split("\n", 1)[0].trim();
  const chars = Array.from(line);
  return chars.length > MAX_CHARS ? `${chars.slice(0, MAX_CHARS - 1).join("").trimEnd()}…` : line;
}

/**
 * Return the text of a message's content.
 *
 * @param {string | {type: string, text?: string}[] | null | undefined} content
 */
export function textOf(content) {
  if (!Array.isArray(content)) return content ?? "";
  return content.filter((part) => part.type === "text").map((part) => part.text).join("\n");
}

/** Return the name of the first file that is attached; empty without one. */
function nameOfFirst(content) {
  return (Array.isArray(content) ? content : []).map((part) => readTextPart(part)?.name).find(Boolean) ?? "";
}
