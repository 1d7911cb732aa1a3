/**
 * What the next answers are asked with: the model, the system prompt, and further fields of the request.
 */
import {createSignal} from "../../signal.js";
import {lastingStorage} from "../../storage.js";

const MODEL = "chat-model";

/**
 * @typedef {object} ChatSettings
 * @property {string | null} model
 * @property {Record<string, unknown>} fields further top-level fields of the request
 * @property {string} system the system prompt; empty: none
 * @property {boolean} [isTranscribed] whether the model is sent the texts of recordings, because it does not hear
 */

/** @type {import("../../signal.js").Signal<ChatSettings>} */
export const settings = createSignal({model: lastingStorage.read(MODEL), fields: {}, system: ""});

/** What is written in the settings and is not right yet, by the names of the fields. @type {Map<string, string>} */
export const drafts = new Map();

/**
 * Change some of the settings.
 *
 * @param {Partial<ChatSettings>} changes
 */
export function changeSettings(changes) {
  settings.set({...settings.get(), ...changes});
}

/** @param {string} model which is used until another one is chosen, also after a reload */
export function chooseModel(model) {
  lastingStorage.write(MODEL, model);
  changeSettings({model});
}
