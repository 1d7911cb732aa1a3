/**
 * Scores as text, all with the same number of digits, so that they align.
 */
import {languageTag} from "../../i18n.js";

const DIGITS = 3;

/** @param {number} value */
export function formatScore(value) {
  const digits = {minimumFractionDigits: DIGITS, maximumFractionDigits: DIGITS};
  return new Intl.NumberFormat(languageTag(), digits).format(value);
}
