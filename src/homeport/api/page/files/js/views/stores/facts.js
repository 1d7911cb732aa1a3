/**
 * What is said of a store in one line: its files by status, and when it expires.
 */
import {formatDay, formatNumber} from "../../format.js";
import {html} from "../../html.js";
import {t} from "../../i18n.js";

/** @param {{store: import("./store_data.js").Store}} props */
export function Counts({store: {file_counts: counts, status}}) {
  const done = counts.completed + counts.failed + counts.cancelled;
  return html`
    ${status === "expired" && html`<span class="tag stores-bad">${t("stores.expired")}</span>`}
    ${counts.in_progress
      ? html`<span class="tag stores-live">
          ${t("stores.indexing", {done: formatNumber(done), total: formatNumber(counts.total)})}</span>`
      : html`<span class="tag">${t("stores.files_count", {count: formatNumber(counts.completed)})}</span>`}
    ${counts.failed > 0 && html`
      <span class="tag stores-bad">${t("stores.failed_count", {count: formatNumber(counts.failed)})}</span>`}`;
}

/**
 * Say when a store expires.
 *
 * @param {import("./store_data.js").Store} store
 * @returns {string} empty if it never does
 */
export function expiryOf({expires_at: expires, status}) {
  if (!expires || status === "expired") return "";
  return t("stores.expires", {day: formatDay(expires)});
}
