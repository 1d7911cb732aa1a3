/**
 * A request as a program: what is common to all languages. Knows nothing of how it is shown.
 */
import {toCurl} from "./curl_code.js";
import {toNode} from "./node_code.js";
import {toPython, toPython2023} from "./python_code.js";

const MAX_DATA_CHARS = 200;
const SHOWN_CHARS = 32;
const WRITERS = {curl: toCurl, python: toPython, python_2023: toPython2023, node: toNode};

/** The languages, each with the name by which its code is highlighted. */
export const LANGUAGES = {curl: "bash", python: "python", python_2023: "python", node: "javascript"};

/**
 * @typedef {object} Program
 * @property {string} baseUrl the API's address, which ends with `/v1`
 * @property {Record<string, any>} body
 * @property {boolean} needsKey whether the server wants a key, which the program reads from `OPENAI_API_KEY`
 */

/**
 * Return the code of a request to `/chat/completions`.
 *
 * @param {keyof LANGUAGES} language
 * @param {Program} program
 * @returns {string}
 */
export function toCode(language, program) {
  return WRITERS[language](program);
}

/**
 * Return a request whose answer comes as a whole.
 *
 * @param {Record<string, any>} body
 */
export function withoutStream(body) {
  const {stream: _, stream_options: __, ...rest} = body;
  return rest;
}

/**
 * Return a request in which pictures and recordings are cut, so that the rest can be read.
 *
 * @param {Record<string, any>} body
 * @returns {{body: Record<string, any>, isShortened: boolean}}
 */
export function shortenData(body) {
  let isShortened = false;
  const cut = (text) => {
    if (text.length <= MAX_DATA_CHARS) return text;
    isShortened = true;
    return `${text.slice(0, SHOWN_CHARS)}…(+${text.length - SHOWN_CHARS})`;
  };
  const shorten = (part) => {
    if (part.image_url?.url?.startsWith("data:")) {
      return {...part, image_url: {...part.image_url, url: cut(part.image_url.url)}};
    }
    if (typeof part.input_audio?.data !== "string") return part;
    return {...part, input_audio: {...part.input_audio, data: cut(part.input_audio.data)}};
  };
  const messages = body.messages.map((message) =>
    (Array.isArray(message.content) ? {...message, content: message.content.map(shorten)} : message));
  return {body: {...body, messages}, isShortened};
}
