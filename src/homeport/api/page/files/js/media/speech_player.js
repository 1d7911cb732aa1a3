/**
 * Plays speech while the server still makes it. One text is read aloud at a time.
 */
import {send} from "../client.js";

const RATE = 24000;
const LEAD_S = 0.15;
/** The server reads at most 4096 characters at once. */
const MAX_CHARS = 4000;

let current = null;

/**
 * @typedef {object} Speech
 * @property {string} model
 * @property {string} voice
 * @property {string} text
 */

/** A text that is read aloud. Another one stops it. */
export class SpeechPlayer {
  #control = new AbortController();
  #context = new AudioContext({sampleRate: RATE});
  #end = 0;
  #rest = new Uint8Array();

  /** Stop whatever is read now. */
  static stopCurrent() {
    current?.stop();
  }

  /**
   * Read a text to its end.
   *
   * @param {Speech} speech
   * @param {() => void} [onSound] is called when the first sound is heard
   * @returns {Promise<void>} when it has been heard, or is stopped
   */
  async play({model, voice, text}, onSound = () => {}) {
    SpeechPlayer.stopCurrent();
    current = this;
    try {
      for (const input of split(text)) {
        const body = {model, voice, input, response_format: "pcm"};
        const {signal} = this.#control;
        const response = await send("/v1/audio/speech", {method: "POST", body, signal});
        await this.#schedule(response.body.getReader(), onSound);
      }
      await this.#heard();
    } catch (error) {
      if (!this.#control.signal.aborted) throw error;
    } finally {
      this.stop();
    }
  }

  /** Be silent at once. */
  stop() {
    if (current === this) current = null;
    this.#control.abort();
    if (this.#context.state !== "closed") this.#context.close();
  }

  async #schedule(reader, onSound) {
    for (;;) {
      const {done, value} = await reader.read();
      if (done) return;
      const bytes = new Uint8Array(this.#rest.length + value.length);
      bytes.set(this.#rest);
      bytes.set(value, this.#rest.length);
      const whole = bytes.length - (bytes.length % 2);
      this.#rest = bytes.slice(whole);
      if (!whole) continue;
      const numbers = new Int16Array(bytes.buffer, 0, whole / 2);
      const buffer = this.#context.createBuffer(1, numbers.length, RATE);
      buffer.getChannelData(0).set(Float32Array.from(numbers, (number) => number / 32768));
      const source = this.#context.createBufferSource();
      source.buffer = buffer;
      source.connect(this.#context.destination);
      if (!this.#end) onSound();
      const begin = Math.max(this.#end, this.#context.currentTime + LEAD_S);
      source.start(begin);
      this.#end = begin + buffer.duration;
    }
  }

  /** Wait until the last sound is over. */
  #heard() {
    return new Promise((resolve) => {
      const {signal} = this.#control;
      const timer = setTimeout(resolve, Math.max(0, this.#end - this.#context.currentTime) * 1000);
      signal.addEventListener("abort", () => {
        clearTimeout(timer);
        resolve();
      });
    });
  }
}

/** Split a text into pieces that the server accepts, between sentences where it can be. */
function split(text) {
  const pieces = [];
  let rest = text.trim();
  while (rest.length > MAX_CHARS) {
    const part = rest.slice(0, MAX_CHARS);
    const end = Math.max(...["\n", ". ", "。", "! ", "? ", "？", "！", " "].map((mark) => part.lastIndexOf(mark)));
    const at = end > MAX_CHARS / 4 ? end + 1 : MAX_CHARS;
    pieces.push(rest.slice(0, at));
    rest = rest.slice(at).trim();
  }
  return rest ? [...pieces, rest] : pieces;
}
