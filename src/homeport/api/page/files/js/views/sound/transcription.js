/**
 * One recording and its transcript: both stay while another view is shown. Knows no elements.
 */
import {requestEvents, requestJson} from "../../client.js";
import {createSignal} from "../../signal.js";

/**
 * @typedef {object} Segment
 * @property {number} id
 * @property {number} start in seconds
 * @property {number} end
 * @property {string} text
 */

/**
 * @typedef {object} Options
 * @property {string} model
 * @property {boolean} isTranslated into English
 * @property {string} language a code; empty: detected
 * @property {string} prompt
 * @property {string} temperature
 */

/**
 * @typedef {object} State
 * @property {File | null} file
 * @property {"ready" | "working" | "done" | "stopped" | "failed"} state
 * @property {Segment[]} segments
 * @property {unknown} error
 */

const EMPTY = {file: null, state: "ready", segments: [], error: null};

/** A recording and its transcript. */
export class Transcription {
  /** @type {import("../../signal.js").Signal<State>} */
  state = createSignal(EMPTY);
  #control = null;

  /** @param {File | null} file another recording, whose transcript is yet to be made */
  choose(file) {
    this.stop();
    this.state.set({...EMPTY, file});
  }

  /** End the transcription. What was written stays. */
  stop() {
    this.#control?.abort();
  }

  /** @param {number} id @param {string} text what the user wrote in its place */
  edit(id, text) {
    this.#change({segments: this.state.get().segments.map((each) => (each.id === id ? {...each, text} : each))});
  }

  /** @param {Options} options */
  async run(options) {
    this.stop();
    const control = new AbortController();
    this.#control = control;
    const {file} = this.state.get();
    const change = (fields) => this.#control === control && this.state.get().file === file && this.#change(fields);
    change({state: "working", segments: [], error: null});
    try {
      const segments = [];
      for await (const segment of readSegments(file, options, control.signal)) {
        segments.push({...segment, id: segments.length, text: segment.text.trim()});
        change({segments: [...segments]});
      }
      change({state: "done"});
    } catch (error) {
      change(control.signal.aborted ? {state: "stopped"} : {state: "failed", error});
    }
  }

  #change(fields) {
    this.state.set({...this.state.get(), ...fields});
  }
}

/** Transcripts arrive segment by segment, translations at once. */
async function* readSegments(file, {model, isTranslated, language, prompt, temperature}, signal) {
  const form = new FormData();
  form.append("file", file);
  form.append("model", model);
  if (prompt) form.append("prompt", prompt);
  if (temperature) form.append("temperature", temperature);
  if (isTranslated) {
    form.append("response_format", "verbose_json");
    const answer = await requestJson("/v1/audio/translations", {method: "POST", body: form, signal});
    yield* answer.segments;
    return;
  }
  if (language) form.append("language", language);
  form.append("stream", "true");
  for await (const event of requestEvents("/v1/audio/transcriptions", {body: form, signal})) {
    if (event.type === "transcript.text.delta") yield {start: event.start, end: event.end, text: event.delta};
  }
}
