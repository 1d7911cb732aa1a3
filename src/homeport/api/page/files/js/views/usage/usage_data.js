/**
 * Asks the server for usage: the sums of each group, their total, and how the largest groups spread over time.
 */
import {requestJson, send} from "../../client.js";
import {partsOf} from "./range.js";

/**
 * @typedef {object} Sum what the server counted for one group
 * @property {string} name of the group
 * @property {number} requests
 * @property {number} prompt_tokens
 * @property {number} completion_tokens
 * @property {number} cached_tokens
 *
 * @typedef {object} Usage
 * @property {Sum[]} rows
 * @property {Sum | null} total of all rows, also those that are not here; null without usage
 * @property {boolean} isCut whether there are more rows
 * @property {{starts: number[], width: number, lines: {name: string, isRest: boolean, values: Sum[]}[]}} plot
 */

export const GROUPS = ["key", "model", "day", "user", "project", "endpoint"];
const PATH = "/admin/v1/usage";
const MAX_ROWS = 10_000;
/** As many groups as a plot has colors for, with all others as one more. */
const N_LINES = 5;
const NUMBERS = ["requests", "prompt_tokens", "completion_tokens", "cached_tokens"];
const FILTERS = {key: "keys", model: "models", user: "users", project: "projects", endpoint: "endpoints"};

/**
 * @param {{group: string, start: number, end: number}} query
 * @param {AbortSignal} signal
 * @returns {Promise<Usage>}
 */
export async function loadUsage({group, start, end}, signal) {
  const span = {start, end};
  const [page, whole] = await Promise.all([
    ask({...span, group_by: [group], limit: MAX_ROWS}, signal), ask(span, signal),
  ]);
  const rows = page.data.map((row) => ({...row, name: row[group]}));
  const total = whole.data[0] ?? null;
  return {rows, total, isCut: page.has_more, plot: await loadPlot({group, ...span}, rows, signal)};
}

/**
 * Ask for the sums as CSV, all pages of them.
 *
 * @param {{group: string, start: number, end: number}} query
 * @returns {Promise<string>}
 */
export async function loadCsv({group, start, end}) {
  let text = "";
  let page = null;
  do {
    const query = {start, end, group_by: [group], limit: MAX_ROWS, format: "csv", ...(page ? {page} : {})};
    const response = await send(`${PATH}?${queryOf(query)}`);
    const part = await response.text();
    text += text ? part.slice(part.indexOf("\n") + 1) : part;
    page = response.headers.get("x-homeport-next-page");
  } while (page);
  return text;
}

/** Sum each of the largest groups, and everything, over the parts of the span. */
async function loadPlot({group, start, end}, rows, signal) {
  const parts = partsOf({start, end});
  const query = {start, end, bucket: parts.bucket, limit: MAX_ROWS};
  const names = group === "day" ? [] : largest(rows).map(({name}) => name);
  const [all, named] = await Promise.all([
    ask(query, signal),
    names.length ? ask({...query, group_by: [group], [FILTERS[group]]: names}, signal) : {data: []},
  ]);
  const lines = names.map((name) => ({
    name, isRest: false, values: spread(parts, named.data.filter((row) => row[group] === name)),
  }));
  const rest = spread(parts, all.data);
  for (const {values} of lines) values.forEach((sum, i) => add(rest[i], sum, -1));
  if (group === "day" || rows.length > names.length) lines.push({name: "", isRest: true, values: rest});
  return {starts: parts.starts, width: parts.width, lines};
}

/** @param {Sum[]} rows @returns {Sum[]} */
function largest(rows) {
  const size = (row) => row.prompt_tokens + row.completion_tokens;
  return [...rows].sort((a, b) => size(b) - size(a) || b.requests - a.requests).slice(0, N_LINES);
}

function spread({starts, width}, rows) {
  const sums = starts.map(() => Object.fromEntries(NUMBERS.map((name) => [name, 0])));
  for (const row of rows) {
    const at = Math.floor((row.start_time - starts[0]) / width);
    if (sums[at]) add(sums[at], row, 1);
  }
  return sums;
}

function add(sum, row, sign) {
  // Both are asked for at the same time: a request that ends in between may be in one of them only.
  for (const name of NUMBERS) sum[name] = Math.max(0, sum[name] + sign * row[name]);
}

function ask(query, signal) {
  return requestJson(`${PATH}?${queryOf(query)}`, {signal});
}

function queryOf(query) {
  const pairs = Object.entries(query).flatMap(([name, value]) => [value].flat().map((each) => [name, each]));
  return new URLSearchParams(pairs).toString();
}
