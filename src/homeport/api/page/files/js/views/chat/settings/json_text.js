/**
 * Reads JSON that a person typed, and says in words where it is wrong. Knows nothing of what it is for.
 */
import {t} from "../../../i18n.js";
import {findJsonError} from "./json_position.js";

/** What is wrong with a text, as a sentence for the field below which it is shown. */
export class TextError extends Error {}

/**
 * @param {string} text
 * @returns {any}
 * @throws {TextError} with the line and the column
 */
export function parseJson(text) {
  try {
    return JSON.parse(text);
  } catch {
    throw new TextError(describe(text));
  }
}

function describe(text) {
  const at = findJsonError(text);
  if (at >= text.trimEnd().length) return t("chat.json_ends_early");
  const before = text.slice(0, at).split("\n");
  return t("chat.json_wrong_at", {line: before.length, column: before.at(-1).length + 1});
}

/**
 * @param {unknown} value
 * @returns {value is Record<string, any>}
 */
export function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
