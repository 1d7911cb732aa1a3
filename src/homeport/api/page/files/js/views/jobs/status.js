/**
 * The states of batches and fine-tunes, in words and colors.
 */
import {html} from "../../html.js";
import {t} from "../../i18n.js";

const KINDS = {
  in_progress: "active", running: "active", finalizing: "active", validating: "active", validating_files: "active",
  cancelling: "active", completed: "good", succeeded: "good", failed: "bad", expired: "bad",
};
const ENDED = ["completed", "succeeded", "failed", "expired", "cancelled"];

/** @param {string} status whether nothing more happens */
export function hasEnded(status) {
  return ENDED.includes(status);
}

/** @param {{status: string}} props */
export function Status({status}) {
  const names = {
    validating: t("jobs.validating"), in_progress: t("jobs.in_progress"), finalizing: t("jobs.finalizing"),
    completed: t("jobs.completed"), failed: t("jobs.failed"), expired: t("jobs.expired"),
    cancelling: t("jobs.cancelling"), cancelled: t("jobs.cancelled"), queued: t("jobs.queued"),
    validating_files: t("jobs.validating"), running: t("jobs.running"), paused: t("jobs.paused"),
    succeeded: t("jobs.succeeded"),
  };
  return html`<span class="status status-${KINDS[status] ?? "plain"}">${names[status] ?? status}</span>`;
}
