/**
 * Sends recordings to be transcribed.
 */
import {requestJson} from "../client.js";
import {t} from "../i18n.js";

/**
 * Transcribe a recording in one piece, whatever language is spoken.
 *
 * @param {File} file
 * @param {string} model
 * @param {AbortSignal} [signal]
 * @returns {Promise<string>} the text
 */
export async function transcribe(file, model, signal) {
  const form = new FormData();
  form.append("file", file);
  form.append("model", model);
  // In Chinese a text before the recording's decides the script, and brings punctuation.
  form.append("prompt", t("media.transcription_prompt"));
  return (await requestJson("/v1/audio/transcriptions", {method: "POST", body: form, signal})).text;
}
