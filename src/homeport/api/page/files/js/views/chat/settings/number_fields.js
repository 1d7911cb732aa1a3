/**
 * The fields of a request that are numbers, with the ranges that the server accepts, and the texts that end an answer.
 */
import {formatNumber} from "../../../format.js";
import {t} from "../../../i18n.js";
import {TextError} from "./json_text.js";

const MAX_STOPS = 4;
const MAX_STOP_CHARS = 4096;

/**
 * @typedef {object} NumberSpec
 * @property {string} name the field of the request
 * @property {number} min
 * @property {number} max
 * @property {boolean} [isInteger]
 * @property {string} [usual] what the server takes if it is not given
 */

/** @type {NumberSpec[]} those that are changed most */
export const MAIN_NUMBERS = [
  {name: "temperature", min: 0, max: 2, usual: "1"},
  {name: "top_p", min: 0, max: 1, usual: "1"},
  {name: "max_tokens", min: 1, max: 2_147_483_647, isInteger: true},
  {name: "seed", min: -Number.MAX_SAFE_INTEGER, max: Number.MAX_SAFE_INTEGER, isInteger: true},
];

/** @type {NumberSpec[]} */
export const MORE_NUMBERS = [
  {name: "presence_penalty", min: -2, max: 2, usual: "0"},
  {name: "frequency_penalty", min: -2, max: 2, usual: "0"},
  {name: "top_k", min: -1, max: 2_147_483_647, isInteger: true, usual: "0"},
  {name: "min_p", min: 0, max: 1, usual: "0"},
];

/**
 * @param {string} text
 * @param {NumberSpec} spec
 * @returns {number | undefined} undefined for an empty text
 * @throws {TextError} if it is no number in the field's range
 */
export function parseNumber(text, {min, max, isInteger = false}) {
  const written = text.trim().replace(",", ".");
  if (!written) return undefined;
  const value = Number(written);
  if (!Number.isFinite(value) || (isInteger && !Number.isInteger(value))) {
    throw new TextError(isInteger ? t("chat.number_whole") : t("chat.number_wrong"));
  }
  if (value < min || value > max) {
    throw new TextError(t("chat.number_range", {min: formatNumber(min, 2), max: formatNumber(max, 2)}));
  }
  return value;
}

/**
 * Read the texts that end an answer, one on each line; `\n` in one is a new line.
 *
 * @param {string} text
 * @returns {string[] | undefined} undefined for an empty text
 * @throws {TextError}
 */
export function parseStops(text) {
  const stops = text.split("\n").filter(Boolean).map((line) => line.replace(/\\([nt\\])/g, unescape));
  if (stops.length > MAX_STOPS) throw new TextError(t("chat.stops_too_many", {max: MAX_STOPS}));
  if (stops.some((each) => each.length > MAX_STOP_CHARS)) throw new TextError(t("chat.stops_too_long"));
  return stops.length ? stops : undefined;
}

function unescape(whole, letter) {
  return {n: "\n", t: "\t", "\\": "\\"}[letter];
}

/** @param {string[]} [stops] the text that `parseStops` reads as these */
export function showStops(stops = []) {
  const written = {"\\": "\\\\", "\n": "\\n", "\t": "\\t"};
  return stops.map((each) => each.replace(/[\\\n\t]/g, (letter) => written[letter])).join("\n");
}
