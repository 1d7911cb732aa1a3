/**
 * Spans of days in UTC, as the server counts them: presets, two dates, and the equal parts that a plot shows.
 */

export const PRESETS = ["today", "7d", "30d", "month"];
const DAY_S = 86_400;
const HOUR_S = 3600;
/** Beyond so many days, a plot shows weeks. */
const MAX_DAYS = 92;
const SPAN = /^(\d{4}-\d\d-\d\d)_(\d{4}-\d\d-\d\d)$/;

/** @typedef {{from: string, to: string}} Days two dates such as `2026-11-30`; the last day is part of the span */

/**
 * Return the days of a preset, or of two dates `FROM_TO`; of anything else, the default ones.
 *
 * @param {string} name
 * @param {number} now in milliseconds
 * @returns {Days}
 */
export function daysOf(name, now) {
  const found = SPAN.exec(name);
  if (found && isDate(found[1]) && isDate(found[2])) return {from: found[1], to: found[2]};
  const to = dateOf(now / 1000);
  if (name === "today") return {from: to, to};
  if (name === "month") return {from: `${to.slice(0, 8)}01`, to};
  return {from: dateOf(now / 1000 - (name === "7d" ? 6 : 29) * DAY_S), to};
}

/** @param {string} date @returns {boolean} whether it is one */
export function isDate(date) {
  return /^\d{4}-\d\d-\d\d$/.test(date) && !Number.isNaN(Date.parse(date)) && dateOf(secondsOf(date)) === date;
}

/** @param {number} seconds since 1970 @returns {string} the date in UTC */
export function dateOf(seconds) {
  return new Date(seconds * 1000).toISOString().slice(0, 10);
}

/** @param {Days} days @returns {{start: number, end: number}} seconds since 1970; the end is excluded */
export function timesOf({from, to}) {
  return {start: secondsOf(from), end: secondsOf(to) + DAY_S};
}

/**
 * Return the parts of a plot: hours of one day, days, or weeks of a long span. `bucket`: what the server is asked for.
 *
 * @param {{start: number, end: number}} times
 * @returns {{bucket: "1h" | "1d", width: number, starts: number[]}}
 */
export function partsOf({start, end}) {
  const days = (end - start) / DAY_S;
  const width = days <= 1 ? HOUR_S : days <= MAX_DAYS ? DAY_S : 7 * DAY_S;
  const starts = Array.from({length: Math.ceil((end - start) / width)}, (_, i) => start + i * width);
  return {bucket: width === HOUR_S ? "1h" : "1d", width, starts};
}

function secondsOf(date) {
  return Date.parse(`${date}T00:00:00Z`) / 1000;
}
