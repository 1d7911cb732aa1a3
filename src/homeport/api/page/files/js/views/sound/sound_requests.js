/**
 * Sounds that the server made in this visit, and the one that it makes now. Knows no elements and no endpoint.
 */
import {send} from "../../client.js";
import {whenOwnerChanges} from "../../owner.js";
import {createSignal} from "../../signal.js";

/** Files that browsers play. */
export const PLAYED_FORMATS = ["mp3", "wav", "flac", "opus", "aac"].map((value) => ({
  value, name: value.toUpperCase(),
}));
const SKIPPED_HEADER = "x-homeport-skipped";
const KEPT = 20;
let count = 0;

/**
 * @typedef {object} Sound
 * @property {number} id
 * @property {string} text what was asked for
 * @property {string} detail how, in a few words
 * @property {string} format
 * @property {Blob} file
 * @property {string} skipped characters that the voice cannot read
 */

/** @typedef {{isWorking: boolean, received: number, error: unknown, sounds: Sound[]}} State */

const EMPTY = {isWorking: false, received: 0, error: null, sounds: []};

/** The sounds of one endpoint. At most one is made at a time. */
export class SoundRequests {
  /** @type {import("../../signal.js").Signal<State>} */
  state = createSignal(EMPTY);
  #path;
  #control = null;

  /** @param {string} path the endpoint */
  constructor(path) {
    this.#path = path;
    whenOwnerChanges(() => {
      this.stop();
      this.state.set(EMPTY);
    });
  }

  /** End the sound that is being made. */
  stop() {
    this.#control?.abort();
  }

  /** @param {number} id what is no longer listed */
  remove(id) {
    this.#change({sounds: this.state.get().sounds.filter((each) => each.id !== id)});
  }

  /**
   * Have a sound made.
   *
   * @param {object} body the request
   * @param {{text: string, detail: string, format: string}} about what the list shows of it
   */
  async make(body, about) {
    this.stop();
    const control = new AbortController();
    this.#control = control;
    this.#change({isWorking: true, received: 0, error: null});
    try {
      const response = await send(this.#path, {method: "POST", body, signal: control.signal});
      const pieces = [];
      for (const reader = response.body.getReader(); ;) {
        const {done, value} = await reader.read();
        if (done) break;
        pieces.push(value);
        this.#change({received: this.state.get().received + value.length});
      }
      const file = new Blob(pieces, {type: response.headers.get("content-type") ?? ""});
      const skipped = decodeURIComponent(response.headers.get(SKIPPED_HEADER) ?? "");
      const sound = {id: ++count, ...about, file, skipped};
      if (!control.signal.aborted) this.#change({sounds: [sound, ...this.state.get().sounds].slice(0, KEPT)});
    } catch (error) {
      if (!control.signal.aborted) this.#change({error});
    }
    if (this.#control === control) this.#change({isWorking: false});
  }

  #change(fields) {
    this.state.set({...this.state.get(), ...fields});
  }
}
