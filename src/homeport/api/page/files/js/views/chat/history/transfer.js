/**
 * Conversations as a file: what is written into one, and the check of one that comes in.
 */
import {titleOf} from "./title.js";

const FORMAT = "homeport.conversations";
const VERSION = 1;
const MAX_BYTES = 64_000_000;
const ROLES = new Set(["system", "developer", "user", "assistant", "tool"]);
const STATES = new Set(["done", "stopped", "failed"]);
const MAX_ID_CHARS = 64;
const MAX_TIME = 4e14; // of what follows, browsers make no date

/** Why a file cannot be imported: `size`, `json`, `format`, or `conversation` with the place of the first wrong one. */
export class ImportError extends Error {
  /** @param {"size" | "json" | "format" | "conversation"} reason @param {number} [place] counted from 1 */
  constructor(reason, place) {
    super(reason);
    this.reason = reason;
    this.place = place;
  }
}

/** Return the text of a file. @param {any[]} conversations as `exported` of the library has them */
export function exportText(conversations) {
  const exportedAt = new Date().toISOString();
  return JSON.stringify({format: FORMAT, version: VERSION, exportedAt, conversations}, null, 1);
}

/**
 * Have the browser save a text as a file.
 *
 * @param {string} text
 * @param {string} name
 */
export function saveFile(text, name) {
  const address = URL.createObjectURL(new Blob([text], {type: "application/json"}));
  Object.assign(document.createElement("a"), {href: address, download: name}).click();
  setTimeout(() => URL.revokeObjectURL(address));
}

/**
 * Read the conversations of a file.
 *
 * @param {File} file
 * @throws {ImportError} if it is no export, or damaged; then nothing of it is taken
 */
export async function readFile(file) {
  if (file.size > MAX_BYTES) throw new ImportError("size");
  let content;
  try {
    content = JSON.parse(await file.text());
  } catch {
    throw new ImportError("json");
  }
  if (content?.format !== FORMAT || content.version !== VERSION || !Array.isArray(content.conversations)) {
    throw new ImportError("format");
  }
  const ids = new Set();
  return content.conversations.map((each, i) => {
    if (ids.has(each?.id)) throw new ImportError("conversation", i + 1);
    ids.add(each?.id);
    return checked(each, i + 1);
  });
}

/** Return a conversation with the known fields only. */
function checked(given, place) {
  const must = (holds) => {
    if (!holds) throw new ImportError("conversation", place);
  };
  must(isObject(given) && isId(given.id) && Array.isArray(given.nodes) && given.nodes.length > 0);
  const known = new Map();
  for (const node of given.nodes) {
    must(isObject(node) && isId(node.id) && !known.has(node.id) && isMessage(node.message));
    must(node.parent === null || known.has(node.parent)); // parents come first, so there are no circles
    known.set(node.id, checkedNode(node));
  }
  const nodes = [...known.values()];
  const choices = (Array.isArray(given.choices) ? given.choices : [])
    .filter((choice) => Array.isArray(choice) && known.get(choice[1])?.parent === choice[0]);
  const createdAt = timeOf(given.createdAt);
  return {
    id: given.id, nodes, choices, createdAt, updatedAt: timeOf(given.updatedAt, createdAt),
    title: typeof given.title === "string" ? given.title : titleOf(nodes), isNamed: given.isNamed === true,
  };
}

function checkedNode({id, parent, message, state, createdAt, request, model, measured, logprobs, error}) {
  const hasRequest = isObject(request?.rest) && typeof request.system === "string";
  return {
    id, parent, message, state: STATES.has(state) ? state : "stopped", createdAt: timeOf(createdAt),
    ...(typeof model === "string" && {model}),
    ...(isObject(measured) && {measured: checkedMeasures(measured)}),
    ...(areTokens(logprobs?.content) && {logprobs: {content: logprobs.content}}),
    ...(isObject(error) && {error: checkedError(error)}),
    ...(hasRequest && {request: {rest: request.rest, system: request.system}}),
  };
}

function checkedMeasures(given) {
  const number = (name) => (Number.isFinite(given[name]) ? given[name] : null);
  return {
    firstS: number("firstS"), totalS: number("totalS") ?? 0, reasoningS: number("reasoningS"), tokens: number("tokens"),
    promptTokens: number("promptTokens"), cachedTokens: number("cachedTokens"),
    finishReason: typeof given.finishReason === "string" ? given.finishReason : null,
  };
}

function checkedError({status, message, code}) {
  return {
    status: Number.isInteger(status) ? status : null, message: typeof message === "string" ? message : "",
    code: typeof code === "string" ? code : null,
  };
}

function isMessage(message) {
  if (!isObject(message) || !ROLES.has(message.role)) return false;
  const {content, reasoning_content: reasoning, tool_calls: calls, audio} = message;
  const isText = content === null || content === undefined || typeof content === "string";
  return (isText || (message.role !== "assistant" && Array.isArray(content) && content.every(isPart)))
    && [message.refusal, audio?.transcript, audio?.id].every((text) => typeof (text ?? "") === "string")
    && (reasoning === undefined || typeof reasoning === "string")
    && (calls === undefined || (Array.isArray(calls) && calls.every(isCall)));
}

function isPart(part) {
  const texts = {text: part?.text, image_url: part?.image_url?.url, input_audio: part?.input_audio?.data};
  return isObject(part) && typeof part.type === "string"
    && (!Object.hasOwn(texts, part.type) || typeof texts[part.type] === "string");
}

/** Whether these are tokens with their probabilities. */
function areTokens(given) {
  return Array.isArray(given) && given.every((each) => typeof each?.token === "string"
    && Number.isFinite(each.logprob) && (each.top_logprobs === undefined || areTokens(each.top_logprobs)));
}

function isCall(call) {
  const {name, arguments: json, input: text = json} = call?.function ?? call?.custom ?? {};
  return typeof call?.id === "string" && typeof name === "string" && typeof text === "string";
}

function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isId(value) {
  return typeof value === "string" && value.length > 0 && value.length <= MAX_ID_CHARS;
}

function timeOf(value, otherwise = Date.now()) {
  return value >= 0 && value <= MAX_TIME ? value : otherwise;
}
