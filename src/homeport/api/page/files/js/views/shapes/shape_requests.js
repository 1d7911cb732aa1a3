/**
 * The shapes of this visit, and the one that is being generated. Knows nothing of how they are shown.
 */
import {requestEvents} from "../../client.js";
import {whenOwnerChanges} from "../../owner.js";
import {copyOfPicture, dataUrlOf} from "../../picture_files.js";
import {createSignal} from "../../signal.js";

const PATH = "/v1/3d/generations";
const SEEDS = 1_000_000;
const KEPT = 12;
/** What the model sees of a picture has 512 pixels; a larger one is only sent in vain. */
const SENT = {maxEdge: 1024, minEdge: 64};
let count = 0;

/**
 * @typedef {object} MadeShape
 * @property {number} id
 * @property {Blob} file a GLB
 * @property {string} title the prompt, or the picture's name
 * @property {string} model
 * @property {number | null} seed of the picture that was painted; the shape of a given one is always the same
 * @property {number} totalS
 */

/**
 * @typedef {object} Wanted
 * @property {string} model
 * @property {string} prompt used without a picture
 * @property {File | null} picture
 * @property {number | null} seed null: any
 */

/** @typedef {{isWorking: boolean, share: number | null, error: unknown, shapes: MadeShape[]}} State */

/** @type {State} */
const EMPTY = {isWorking: false, share: null, error: null, shapes: []};

/** One user's shapes. At most one is generated at a time. */
export class ShapeRequests {
  /** @type {import("../../signal.js").Signal<State>} */
  state = createSignal(EMPTY);
  #control = null;

  constructor() {
    whenOwnerChanges(() => {
      this.stop();
      this.state.set(EMPTY);
    });
  }

  /** Stop the generation, and the server's work for it. */
  stop() {
    this.#control?.abort();
  }

  /** @param {number} id what is no longer listed */
  remove(id) {
    this.#change({shapes: this.state.get().shapes.filter((each) => each.id !== id)});
  }

  /** Generate a shape of words or a picture. @param {Wanted} wanted */
  async generate({model, prompt, picture, seed}) {
    this.stop();
    const control = new AbortController();
    this.#control = control;
    const used = picture ? null : (seed ?? crypto.getRandomValues(new Uint32Array(1))[0] % SEEDS);
    const about = {title: picture?.name ?? prompt, model, seed: used};
    const began = performance.now();
    this.#change({isWorking: true, share: null, error: null});
    try {
      const source = picture
        ? {image: await dataUrlOf((await copyOfPicture(picture, SENT)).blob)}
        : {prompt, seed: used};
      const body = {model, ...source, output_format: "glb", response_format: "b64_json", stream: true};
      for await (const event of requestEvents(PATH, {body, signal: control.signal})) {
        if (control.signal.aborted) break;
        this.#take(event, about, began);
      }
    } catch (error) {
      if (!control.signal.aborted) this.#change({error});
    }
    if (this.#control === control) this.#change({isWorking: false, share: null});
  }

  #take(event, about, began) {
    if (event.type.endsWith(".progress")) this.#change({share: event.step / event.steps});
    if (!event.b64_json) return;
    const bytes = Uint8Array.from(atob(event.b64_json), (character) => character.charCodeAt(0));
    const file = new Blob([bytes], {type: "model/gltf-binary"});
    const shape = {id: ++count, file, ...about, totalS: (performance.now() - began) / 1000};
    this.#change({shapes: [shape, ...this.state.get().shapes].slice(0, KEPT)});
  }

  #change(fields) {
    this.state.set({...this.state.get(), ...fields});
  }
}
