/**
 * The models that the key may use, as the server lists them.
 */
import {requestJson} from "./client.js";

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
export async function listModels(signal) {
  const {data} = await requestJson("/v1/models", {signal});
  return data.filter((model) => model.parent !== null || model.root === model.id);
}

/** @param {Model} model */
export function canChat(model) {
  return model.capabilities.includes("chat");
}
