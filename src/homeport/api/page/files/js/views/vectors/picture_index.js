/**
 * Pictures from the disk with their vectors. They stay in this tab; only small copies go to the server, in batches.
 * Knows nothing of how they are shown.
 */
import {dataUrlOf} from "../../picture_files.js";
import {createSignal} from "../../signal.js";
import {cosine, embed, pictureInput, smallCopyOf} from "./embeddings.js";

const BATCH = 16;

/**
 * @typedef {object} Entry
 * @property {number} id
 * @property {string} name with the folders in it
 * @property {File} file
 * @property {string | null} url of its small copy, once that is made
 * @property {string | null} dataUrl what is sent, until its vector is there
 * @property {number[] | null} vector
 * @property {boolean} isUnreadable
 */

/**
 * @typedef {object} IndexState
 * @property {number} total
 * @property {number} done those that need no more work
 * @property {string[]} unreadable names
 * @property {"idle" | "running" | "stopped" | "failed"} state
 * @property {unknown} error
 */

/** @type {IndexState} */
const EMPTY = {total: 0, done: 0, unreadable: [], state: "idle", error: null};

/** Pictures that can be searched. */
export class PictureIndex {
  /** @type {import("../../signal.js").Signal<IndexState>} */
  state = createSignal(EMPTY);
  /** @type {Map<string, Entry>} by path, size and time, so that a picture that is chosen twice is there once */
  #entries = new Map();
  /** @type {AbortController | null} */
  #control = null;
  /** @type {string | null} the model of the vectors */
  #model = null;

  /** Add pictures and embed them. @param {File[]} files @param {string} model */
  add(files, model) {
    for (const file of files) {
      const name = file.webkitRelativePath || file.name;
      const key = `${name} ${file.size} ${file.lastModified}`;
      const id = this.#entries.size + 1;
      const entry = {id, name, file, url: null, dataUrl: null, vector: null, isUnreadable: false};
      if (!this.#entries.has(key)) this.#entries.set(key, entry);
    }
    return this.run(model);
  }

  /** Embed what has no vector of this model yet. @param {string} model */
  async run(model) {
    this.stop();
    if (this.#model !== model) for (const entry of this.#entries.values()) entry.vector = null;
    this.#model = model;
    const control = new AbortController();
    this.#control = control;
    this.#report("running");
    const batches = this.#batches();
    let next = prepare(batches[0]);
    try {
      for (const [at, batch] of batches.entries()) {
        await next;
        next = prepare(batches[at + 1]); // while the server embeds this batch
        await embedBatch(batch, model, control.signal);
        if (control.signal.aborted) return;
        this.#report("running");
      }
      this.#report("idle");
    } catch (error) {
      if (!control.signal.aborted) this.#report("failed", error);
    }
  }

  /** End the work. What is embedded stays. */
  stop() {
    this.#control?.abort();
    this.#control = null;
    if (this.state.get().state === "running") this.#report("stopped");
  }

  /** Forget all pictures. */
  clear() {
    this.stop();
    for (const {url} of this.#entries.values()) if (url) URL.revokeObjectURL(url);
    this.#entries.clear();
    this.state.set(EMPTY);
  }

  /**
   * Return the pictures that can be searched; with a vector, the nearest first.
   *
   * @param {number[] | null} vector
   * @returns {{entry: Entry, score: number | null}[]}
   */
  find(vector) {
    const entries = [...this.#entries.values()].filter((entry) => entry.vector);
    if (!vector) return entries.map((entry) => ({entry, score: null}));
    const scored = entries.map((entry) => ({entry, score: cosine(entry.vector, vector)}));
    return scored.sort((a, b) => b.score - a.score);
  }

  #batches() {
    const open = [...this.#entries.values()].filter((entry) => !entry.vector && !entry.isUnreadable);
    return Array.from({length: Math.ceil(open.length / BATCH)}, (_, i) => open.slice(i * BATCH, (i + 1) * BATCH));
  }

  #report(state, error = null) {
    const entries = [...this.#entries.values()];
    const unreadable = entries.filter((entry) => entry.isUnreadable).map(({name}) => name);
    const done = entries.filter((entry) => entry.vector).length + unreadable.length;
    this.state.set({total: entries.length, done, unreadable, state, error});
  }
}

/** Make the small copies of a batch. */
async function prepare(batch = []) {
  for (const entry of batch) {
    if (entry.dataUrl) continue;
    try {
      const blob = await smallCopyOf(entry.file);
      entry.url ??= URL.createObjectURL(blob);
      entry.dataUrl = await dataUrlOf(blob);
    } catch {
      entry.isUnreadable = true;
    }
  }
}

async function embedBatch(batch, model, signal) {
  const entries = batch.filter((entry) => !entry.isUnreadable);
  if (!entries.length) return;
  const vectors = await embed(model, entries.map(({dataUrl}) => pictureInput(dataUrl)), {signal});
  for (const [at, entry] of entries.entries()) {
    entry.vector = vectors[at];
    entry.dataUrl = null;
  }
}
