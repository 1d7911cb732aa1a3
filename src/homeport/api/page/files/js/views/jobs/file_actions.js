/**
 * What is done with files: read, saved, chosen.
 */
import {requestJson, send} from "../../client.js";
import {showToast} from "../../components/toast.js";
import {saveFile} from "../../download.js";
import {describeError} from "../../errors.js";

const PREVIEW_BYTES = 64_000;

/**
 * Save a file of the server's here.
 *
 * @param {string} id
 * @param {string} [name] of the file here; the server's if it is not given
 */
export async function downloadFile(id, name) {
  try {
    const filename = name ?? (await requestJson(`/v1/files/${encodeURIComponent(id)}`)).filename;
    saveFile(filename, await (await send(`/v1/files/${encodeURIComponent(id)}/content`)).blob());
  } catch (error) {
    showToast(describeError(error), "error");
  }
}

/**
 * Read the beginning of a file.
 *
 * @param {string} id
 * @param {AbortSignal} [signal]
 * @returns {Promise<{text: string | null, isWhole: boolean}>} text: null if it is none
 */
export async function readBeginning(id, signal) {
  const {body} = await send(`/v1/files/${encodeURIComponent(id)}/content`, {signal});
  const reader = body.getReader();
  const decoder = new TextDecoder("utf-8", {fatal: true});
  let text = "";
  try {
    for (let size = 0; size < PREVIEW_BYTES; ) {
      const {done, value} = await reader.read();
      if (done) return {text, isWhole: true};
      size += value.length;
      text += decoder.decode(value, {stream: true});
    }
    return {text, isWhole: false};
  } catch (error) {
    if (error instanceof TypeError) return {text: null, isWhole: false};
    throw error;
  } finally {
    reader.cancel().catch(() => {});
  }
}

/**
 * List the caller's files of a purpose, the newest first.
 *
 * @param {string} purpose
 * @param {AbortSignal} [signal]
 * @returns {Promise<{id: string, filename: string}[]>}
 */
export async function listFilesFor(purpose, signal) {
  return (await requestJson(`/v1/files?purpose=${purpose}&limit=500`, {signal})).data;
}
