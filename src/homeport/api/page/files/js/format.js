/**
 * Numbers, sizes and times as text in the current language.
 */
import {languageTag, t} from "./i18n.js";

const UNITS = ["B", "kB", "MB", "GB", "TB"];

/**
 * @param {number} value
 * @param {number} [digits] how many digits may follow the point
 */
export function formatNumber(value, digits = 0) {
  return new Intl.NumberFormat(languageTag(), {maximumFractionDigits: digits}).format(value);
}

/** @param {number} bytes */
export function formatBytes(bytes) {
  const power = Math.min(Math.floor(Math.log10(Math.max(bytes, 1)) / 3), UNITS.length - 1);
  const value = bytes / 1000 ** power;
  return `${formatNumber(value, value < 10 && power ? 1 : 0)} ${UNITS[power]}`;
}

/** @param {number} seconds */
export function formatSeconds(seconds) {
  if (seconds < 60) return t("format.seconds", {seconds: formatNumber(seconds, seconds < 10 ? 1 : 0)});
  return t("format.minutes", {minutes: Math.floor(seconds / 60), seconds: Math.round(seconds % 60)});
}

/** @param {number} seconds since 1970 */
export function formatDate(seconds) {
  return new Intl.DateTimeFormat(languageTag(), {dateStyle: "medium", timeStyle: "short"}).format(seconds * 1000);
}

/** @param {number} seconds as on a clock: `1:05`, `1:00:05` */
export function formatClock(seconds) {
  const whole = Math.floor(seconds);
  const pad = (value) => String(value).padStart(2, "0");
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor(whole / 60) % 60;
  return hours ? `${hours}:${pad(minutes)}:${pad(whole % 60)}` : `${minutes}:${pad(whole % 60)}`;
}

/** @param {number} seconds since 1970, of which only the day counts */
export function formatDay(seconds) {
  return new Intl.DateTimeFormat(languageTag(), {dateStyle: "medium"}).format(seconds * 1000);
}

/** @param {number} seconds since 1970, as the time of day: `14:05:09` */
export function formatClockTime(seconds) {
  return new Intl.DateTimeFormat(languageTag(), {timeStyle: "medium", hour12: false}).format(seconds * 1000);
}
