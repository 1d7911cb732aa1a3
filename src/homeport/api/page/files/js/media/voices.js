/**
 * The names of voices, and what they say of their language. The server reads English and Mandarin with each of them.
 */
import {lastingStorage} from "../storage.js";

/** OpenAI's names: each has a voice for English and one for Mandarin. */
export const BILINGUAL_VOICES = [
  "alloy", "ash", "ballad", "coral", "echo", "fable", "onyx", "nova", "sage", "shimmer", "verse", "marin", "cedar",
];
const DEFAULT = BILINGUAL_VOICES[0];
/** The first letter of a voice's own name. */
const LANGUAGES = {
  a: "en-US", b: "en-GB", z: "zh", j: "ja", e: "es", f: "fr", h: "hi", i: "it", p: "pt-BR",
};

/**
 * Return the language of a voice's own name such as `zf_xiaobei`; undefined if the name does not say it.
 *
 * @param {string} name
 */
export function voiceLanguage(name) {
  return /^[a-z][fm]_/.test(name) ? LANGUAGES[name[0]] : undefined;
}

/** Return the voice that was chosen in this browser. */
export function chosenVoice() {
  return lastingStorage.read("voice") ?? DEFAULT;
}

/** @param {string} name */
export function chooseVoice(name) {
  lastingStorage.write("voice", name);
}
