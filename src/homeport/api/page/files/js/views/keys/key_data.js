/**
 * Keys, their limits and what they have used, as the server stores them. Knows nothing of how they are shown.
 */
import {requestJson} from "../../client.js";

const ROOT = "/admin/v1/keys";
const USAGE = "/admin/v1/usage";
const DAY_S = 86400;
const GIGABYTE = 1e9;
const ROWS = 10000;

/**
 * @typedef {object} KeyLimits null: no limit
 * @property {number | null} requests_per_minute
 * @property {number | null} tokens_per_minute
 * @property {number | null} tokens_per_day
 * @property {number | null} tokens_per_month
 * @property {number | null} concurrent_requests
 * @property {number | null} storage_bytes
 *
 * @typedef {object} Key
 * @property {string} id
 * @property {string} project
 * @property {string} name
 * @property {string} hint the key, masked
 * @property {number} created_at
 * @property {string[]} models empty: all
 * @property {KeyLimits} limits
 * @property {number | null} expires_at
 * @property {number | null} revoked_at
 * @property {"active" | "expired" | "revoked"} status
 * @property {string} [secret]
 *
 * @typedef {{today: number, month: number, lastDay: number | null}} KeyUsage tokens; `lastDay`: the latest day with
 *   usage in this month, in seconds since 1970
 */

/** The limits in the order of forms. */
export const LIMITS = [
  "requests_per_minute", "tokens_per_minute", "tokens_per_day", "tokens_per_month", "concurrent_requests",
  "storage_bytes",
];

/**
 * All keys, and what each has used.
 *
 * @param {boolean} hasUsage whether the server stores usage
 * @param {AbortSignal} signal
 * @returns {Promise<{keys: Key[], usage: Map<string, KeyUsage>}>}
 */
export async function loadKeys(hasUsage, signal) {
  const [list, usage] = await Promise.all([requestJson(ROOT, {signal}), hasUsage ? loadUsage(signal) : new Map()]);
  return {keys: list.data, usage};
}

async function loadUsage(signal) {
  const now = new Date();
  const today = Math.floor(now.getTime() / 1000 / DAY_S) * DAY_S;
  const start = Date.UTC(now.getUTCFullYear(), now.getUTCMonth(), 1) / 1000;
  const usage = new Map();
  let page = null;
  do {
    const query = new URLSearchParams({group_by: "key", bucket: "1d", start, limit: ROWS, ...(page && {page})});
    const body = await requestJson(`${USAGE}?${query}`, {signal});
    for (const row of body.data) count(usage, row, today);
    page = body.next_page;
  } while (page);
  return usage;
}

function count(usage, row, today) {
  const {today: before, month, lastDay} = usageOf(usage, row.key);
  const tokens = row.prompt_tokens + row.completion_tokens;
  usage.set(row.key, {
    today: before + (row.start_time === today ? tokens : 0), month: month + tokens,
    lastDay: Math.max(lastDay ?? 0, row.start_time),
  });
}

/**
 * @param {Map<string, KeyUsage>} usage
 * @param {string} id
 * @returns {KeyUsage}
 */
export function usageOf(usage, id) {
  return usage.get(id) ?? {today: 0, month: 0, lastDay: null};
}

/** @param {AbortSignal} signal @returns {Promise<string[]>} the installed models that keys can be limited to */
export async function loadModelNames(signal) {
  const {data} = await requestJson("/admin/v1/models", {signal});
  return data.filter((model) => model.installed).map((model) => model.id);
}

/**
 * @typedef {object} KeyForm what the form holds, as texts
 * @property {string} name
 * @property {string} project
 * @property {string[] | null} models null: all
 * @property {Record<string, string>} limits
 * @property {string} expiry `keep`, `never`, or a number of days
 */

/**
 * The form's values for a key, or for a new one.
 *
 * @param {Key | null} key
 * @returns {KeyForm}
 */
export function formOf(key) {
  const text = (name) => {
    const value = key?.limits[name] ?? null;
    return value === null ? "" : String(name === "storage_bytes" ? value / GIGABYTE : value);
  };
  return {
    name: key?.name ?? "", project: key?.project ?? "local", models: key?.models.length ? key.models : null,
    limits: Object.fromEntries(LIMITS.map((name) => [name, text(name)])), expiry: key ? "keep" : "never",
  };
}

/**
 * Create a key.
 *
 * @param {KeyForm} form
 * @returns {Promise<Key>} with its secret
 */
export function createKey(form) {
  const limits = Object.entries(limitsOf(form)).filter(([, value]) => value !== null);
  const body = {
    name: form.name.trim(), project: form.project.trim(), models: form.models ?? [],
    limits: Object.fromEntries(limits), expires_in_s: expiryOf(form),
  };
  return requestJson(ROOT, {method: "POST", body});
}

/**
 * Change a key; its project stays.
 *
 * @param {Key} key
 * @param {KeyForm} form
 * @returns {Promise<Key>}
 */
export function changeKey(key, form) {
  const body = {
    name: form.name.trim(), models: form.models ?? [], limits: limitsOf(form),
    ...(form.expiry !== "keep" && {expires_in_s: expiryOf(form)}),
  };
  return requestJson(pathOf(key), {method: "POST", body});
}

/** @param {Key} key @returns {Promise<Key>} with its new secret */
export function rotateKey(key) {
  return requestJson(`${pathOf(key)}/rotate`, {method: "POST"});
}

/** @param {Key} key */
export function revokeKey(key) {
  return requestJson(pathOf(key), {method: "DELETE"});
}

function pathOf(key) {
  return `${ROOT}/${encodeURIComponent(key.id)}`;
}

function limitsOf({limits}) {
  const value = (name) => {
    if (!limits[name].trim()) return null;
    return name === "storage_bytes" ? Math.round(Number(limits[name]) * GIGABYTE) : Number(limits[name]);
  };
  return Object.fromEntries(LIMITS.map((name) => [name, value(name)]));
}

function expiryOf({expiry}) {
  return expiry === "never" ? null : Math.round(Number(expiry) * DAY_S);
}
