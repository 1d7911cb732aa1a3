/**
 * The models that the key may use, as the server lists them.
 */
import {requestJson} from "./client.js";
import {keyFor} from "./keys.js";

const PATH = "/v1/models";
const AHEAD_MS = 3000;
/** @type {{key: string | null, until: number, answer: Promise<Model[]>} | null} */
let ahead = null;

/**
 * @typedef {object} Model
 * @property {string} id
 * @property {string} root the model that runs
 * @property {string | null} parent the base model of a fine-tuned one
 * @property {string[]} capabilities
 * @property {number | null} context_window
 * @property {number} size_bytes
 * @property {boolean} loaded
 */

/**
 * List the models under their own names, without OpenAI's names for them.
 *
 * @param {AbortSignal} [signal]
 * @returns {Promise<Model[]>}
 */
export function listModels(signal) {
  const asked = ahead;
  ahead = null;
  const isOfUse = asked && asked.key === keyFor(PATH) && performance.now() < asked.until;
  return isOfUse ? asked.answer : request(signal);
}

/** Ask for the models while the code of a view arrives that will list them. */
export function askAhead() {
  const asked = {key: keyFor(PATH), until: performance.now() + AHEAD_MS, answer: request()};
  ahead = asked;
  asked.answer.catch(() => {
    if (ahead === asked) ahead = null; // who lists them asks again
  });
}

/** @returns {Promise<Model[]>} */
async function request(signal) {
  const {data} = await requestJson(PATH, {signal});
  return data.filter((model) => model.parent !== null || model.root === model.id);
}

/** @param {Model} model */
export function canChat(model) {
  return model.capabilities.includes("chat");
}
