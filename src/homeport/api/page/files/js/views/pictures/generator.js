/**
 * The pictures of this visit, and the one that is being generated. Knows nothing of how they are shown.
 */
import {requestEvents, requestJson} from "../../client.js";
import {copyOfPicture} from "../../picture_files.js";
import {createSignal} from "../../signal.js";

/** The seeds that are chosen here have six digits, so that they are easily written down. */
const OWN_SEEDS = 1_000_000;
const SEEDS = 2 ** 32;
const PREVIEWS = 3;
/** What the server takes for a variation: less than 4 MB, and no larger than what it generates. */
const SQUARE = {isSquare: true, maxEdge: 1024, minEdge: 64};

/**
 * @typedef {object} Picture
 * @property {number} id
 * @property {"generate" | "edit" | "vary"} kind
 * @property {Blob} blob
 * @property {string} url its address in this tab
 * @property {string} prompt
 * @property {string} revised what the model drew of the prompt; empty if it does not say
 * @property {string} model
 * @property {number} seed
 * @property {number} width
 * @property {number} height
 * @property {number} totalS
 */

/**
 * @typedef {object} Settings fields of the request that are set; the others are the model's own
 * @property {string} [size]
 * @property {number} n
 * @property {string} [quality]
 * @property {string} [output_format]
 * @property {number} [seed]
 * @property {number} [steps]
 * @property {number} [guidance]
 * @property {string} [negative_prompt]
 */

/**
 * @typedef {object} Job
 * @property {"generate" | "edit" | "vary"} kind
 * @property {"running" | "failed"} state
 * @property {string} prompt
 * @property {number} count how many pictures are asked for
 * @property {number} done
 * @property {number | null} share how much of all is done, from 0 to 1; null: unknown
 * @property {string | null} preview the address of what is there of the picture that is being generated
 * @property {unknown} [error]
 */

let count = 0;

/** One user's pictures. At most one request runs at a time. */
export class PictureGenerator {
  /** @type {import("../../signal.js").Signal<Picture[]>} the newest first */
  pictures = createSignal([]);
  /** @type {import("../../signal.js").Signal<Job | null>} */
  job = createSignal(null);
  /** @type {AbortController | null} */
  #control = null;

  /** Stop the generation, and the server's work for it; what is finished stays. */
  stop() {
    this.#control?.abort();
  }

  /** Remove all pictures. */
  clear() {
    this.stop();
    this.job.set(null);
    for (const {url} of this.pictures.get()) URL.revokeObjectURL(url);
    this.pictures.set([]);
  }

  /**
   * Generate pictures of a prompt.
   *
   * @param {string} model
   * @param {string} prompt
   * @param {Settings} settings
   */
  generate(model, prompt, settings) {
    const job = {kind: "generate", model, prompt, count: settings.n, seed: settings.seed ?? anySeed()};
    const body = {model, prompt, ...settings, seed: job.seed, ...STREAMED};
    return this.#run(job, (signal) => requestEvents("/v1/images/generations", {body, signal}));
  }

  /**
   * Replace a part of a picture.
   *
   * @param {string} model
   * @param {string} prompt
   * @param {Settings} settings
   * @param {Blob} image
   * @param {Blob | null} mask transparent where the picture changes
   */
  edit(model, prompt, settings, image, mask) {
    const job = {kind: "edit", model, prompt, count: settings.n, seed: settings.seed ?? anySeed()};
    const form = formOf({model, prompt, ...settings, seed: job.seed, ...STREAMED});
    form.append("image", image, "picture");
    if (mask) form.append("mask", mask, "mask.png");
    return this.#run(job, (signal) => requestEvents("/v1/images/edits", {body: form, signal}));
  }

  /**
   * Make a picture that resembles another.
   *
   * @param {string} model
   * @param {Blob} image
   * @param {string} prompt what the picture is called here
   */
  vary(model, image, prompt) {
    const job = {kind: "vary", model, prompt, count: 1, seed: anySeed()};
    return this.#run(job, (signal) => requestVariation(job, image, signal));
  }

  async #run(job, request) {
    if (this.job.get()?.state === "running") return;
    const control = new AbortController();
    this.#control = control;
    const began = performance.now();
    this.job.set({...job, state: "running", done: 0, share: null, preview: null});
    try {
      for await (const event of request(control.signal)) {
        if (control.signal.aborted) break;
        this.#take(event, job, began);
      }
      if (this.#control === control) this.#end(null);
    } catch (error) {
      if (this.#control === control) this.#end(control.signal.aborted ? null : error);
    }
  }

  /** Show an event of the stream: a step, a preview or a whole picture. */
  #take(event, {kind, model, prompt, count: wanted, seed}, began) {
    const job = this.job.get();
    if (event.type.endsWith(".progress")) {
      this.job.set({...job, share: (event.image_index + event.step / event.steps) / wanted});
      return;
    }
    const blob = decode(event.b64_json, event.output_format ?? "png");
    const url = URL.createObjectURL(blob);
    if (job.preview) URL.revokeObjectURL(job.preview);
    if (event.type.endsWith(".partial_image")) {
      this.job.set({...job, preview: url});
      return;
    }
    const [width, height] = event.size.split("x").map(Number);
    const totalS = (performance.now() - began) / 1000;
    const revised = event.revised_prompt === prompt ? "" : (event.revised_prompt ?? "");
    const picture = {id: ++count, kind, blob, url, prompt, revised, model, width, height, totalS,
      seed: (seed + (event.image_index ?? 0)) % SEEDS};
    this.pictures.set([picture, ...this.pictures.get()]);
    this.job.set({...job, done: job.done + 1, preview: null});
  }

  #end(error) {
    const job = this.job.get();
    if (!job) return;
    if (job.preview) URL.revokeObjectURL(job.preview);
    this.job.set(error ? {...job, state: "failed", preview: null, error} : null);
  }
}

const STREAMED = {stream: true, progress: true, partial_images: PREVIEWS};

async function* requestVariation({model, seed}, image, signal) {
  const copy = await copyOfPicture(image, SQUARE);
  const form = formOf({model, seed, response_format: "b64_json"});
  form.append("image", copy.blob, "picture.png");
  const answer = await requestJson("/v1/images/variations", {method: "POST", body: form, signal});
  const size = `${copy.width}x${copy.height}`;
  for (const {b64_json: data} of answer.data) yield {type: "variation.completed", b64_json: data, size};
}

function formOf(fields) {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) form.append(name, String(value));
  return form;
}

function anySeed() {
  return crypto.getRandomValues(new Uint32Array(1))[0] % OWN_SEEDS;
}

function decode(base64, format) {
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  return new Blob([bytes], {type: `image/${format}`});
}
