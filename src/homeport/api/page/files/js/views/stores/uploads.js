/**
 * Uploads of documents into stores. They go on while other parts of the page are shown.
 */
import {requestJson} from "../../client.js";
import {whenOwnerChanges} from "../../owner.js";
import {createSignal, useSignal} from "../../signal.js";
import {sendForm} from "../../upload.js";
import {pathOf} from "./store_data.js";

const GROUP = 20; // so many are uploaded before they begin to be indexed

/**
 * @typedef {object} Upload
 * @property {number} total
 * @property {number} done how many have arrived, or failed
 * @property {string} name of the file that is on its way; empty: none is
 * @property {number} share how much of it has arrived, from 0 to 1
 * @property {number} attached how many were added to the store
 * @property {{name: string, error: unknown}[]} failures
 */

/** @type {import("../../signal.js").Signal<Record<string, Upload>>} */
const uploads = createSignal({});
/** @type {Map<string, {waiting: File[], control: AbortController}>} */
const running = new Map();

/**
 * Return what is uploaded into a store; undefined: nothing.
 *
 * @param {string} id
 * @returns {Upload | undefined}
 */
export function useUpload(id) {
  return useSignal(uploads)[id];
}

/**
 * Upload files and add them to a store, one after the other. Files that are added meanwhile follow.
 *
 * @param {string} id
 * @param {File[]} files
 */
export async function uploadDocuments(id, files) {
  if (!files.length) return;
  const before = running.get(id);
  if (before) {
    before.waiting.push(...files);
    change(id, ({total}) => ({total: total + files.length}));
    return;
  }
  const job = {waiting: [...files], control: new AbortController()};
  running.set(id, job);
  change(id, () => ({total: files.length, done: 0, name: "", share: 0, attached: 0, failures: []}));
  while (job.waiting.length && !job.control.signal.aborted) await uploadGroup(id, job);
  running.delete(id);
  if (uploads.get()[id]?.failures.length) change(id, () => ({name: ""}));
  else forgetUpload(id);
}

/**
 * Stop what is uploaded into a store. What has arrived is added.
 *
 * @param {string} id
 */
export function stopUpload(id) {
  running.get(id)?.control.abort();
}

/**
 * Forget what failed.
 *
 * @param {string} id
 */
export function forgetUpload(id) {
  const {[id]: _, ...others} = uploads.get();
  uploads.set(others);
}

async function uploadGroup(id, {waiting, control}) {
  const arrived = [];
  while (waiting.length && arrived.length < GROUP && !control.signal.aborted) {
    const file = waiting.shift();
    change(id, () => ({name: file.name, share: 0}));
    try {
      arrived.push(await uploadFile(file, (share) => change(id, () => ({share})), control.signal));
    } catch (error) {
      if (!control.signal.aborted) fail(id, file.name, error);
    }
    change(id, ({done}) => ({done: done + 1, share: 0}));
  }
  if (!arrived.length) return;
  const body = {file_ids: arrived.map((file) => file.id)};
  try {
    await requestJson(pathOf(id, "file_batches"), {method: "POST", body});
    change(id, ({attached}) => ({attached: attached + arrived.length}));
  } catch (error) {
    for (const file of arrived) fail(id, file.filename, error);
  }
}

function uploadFile(file, onProgress, signal) {
  const form = new FormData();
  form.append("purpose", "assistants");
  form.append("file", file);
  return sendForm("/v1/files", form, {onProgress, signal});
}

function fail(id, name, error) {
  change(id, ({failures}) => ({failures: [...failures, {name, error}]}));
}

function change(id, fields) {
  const before = uploads.get()[id];
  uploads.set({...uploads.get(), [id]: {...before, ...fields(before)}});
}

whenOwnerChanges(() => {
  for (const {control} of running.values()) control.abort();
  uploads.set({});
});
