/**
 * Texts that were spoken in this visit, and the one that is spoken now. Knows no elements.
 */
import {send} from "../../client.js";
import {createSignal} from "../../signal.js";

/** The server reads at most this at once. */
export const MAX_CHARS = 4096;
/** Files that browsers play. */
export const SPEECH_FORMATS = ["mp3", "wav", "flac", "opus", "aac"].map((value) => ({
  value, name: value.toUpperCase(),
}));
const SKIPPED_HEADER = "x-homeport-skipped";
const KEPT = 20;
let count = 0;

/**
 * @typedef {object} Spoken
 * @property {number} id
 * @property {string} text
 * @property {string} voice
 * @property {string} format
 * @property {Blob} file
 * @property {string} skipped characters that the voice cannot read
 */

/** @typedef {{isWorking: boolean, received: number, error: unknown, spoken: Spoken[]}} State */

/** What is spoken. */
export class Speaking {
  /** @type {import("../../signal.js").Signal<State>} */
  state = createSignal({isWorking: false, received: 0, error: null, spoken: []});
  #control = null;

  /** End the speech that is being made. */
  stop() {
    this.#control?.abort();
  }

  /** @param {number} id what is no longer listed */
  remove(id) {
    this.#change({spoken: this.state.get().spoken.filter((each) => each.id !== id)});
  }

  /** @param {{model: string, text: string, voice: string, speed: number, format: string}} speech */
  async speak({model, text, voice, speed, format}) {
    this.stop();
    const control = new AbortController();
    this.#control = control;
    this.#change({isWorking: true, received: 0, error: null});
    try {
      const body = {model, input: text, voice, speed, response_format: format};
      const response = await send("/v1/audio/speech", {method: "POST", body, signal: control.signal});
      const pieces = [];
      for (const reader = response.body.getReader(); ;) {
        const {done, value} = await reader.read();
        if (done) break;
        pieces.push(value);
        this.#change({received: this.state.get().received + value.length});
      }
      const file = new Blob(pieces, {type: response.headers.get("content-type") ?? ""});
      const skipped = decodeURIComponent(response.headers.get(SKIPPED_HEADER) ?? "");
      const made = {id: ++count, text, voice, format, file, skipped};
      this.#change({spoken: [made, ...this.state.get().spoken].slice(0, KEPT)});
    } catch (error) {
      if (!control.signal.aborted) this.#change({error});
    }
    if (this.#control === control) this.#change({isWorking: false});
  }

  #change(fields) {
    this.state.set({...this.state.get(), ...fields});
  }
}
