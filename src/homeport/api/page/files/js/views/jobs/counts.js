/**
 * How much of a batch is done.
 */
import {Progress} from "../../components/states.js";
import {formatNumber} from "../../format.js";
import {html} from "../../html.js";
import {t} from "../../i18n.js";

/** @param {{batch: {request_counts: {total: number, completed: number, failed: number}}}} props */
export function Counts({batch}) {
  const {total, completed, failed} = batch.request_counts;
  const values = {done: formatNumber(completed + failed), total: formatNumber(total)};
  if (!total) return html`<span class="muted">–</span>`;
  return html`
    <span class="counts">
      <${Progress} label=${t("jobs.progress")} value=${(completed + failed) / total} />
      <span>${t("jobs.done_of", values)}${failed > 0 && html`<span class="bad">
        ${t("jobs.failed_lines", {count: formatNumber(failed)})}</span>`}</span>
    </span>`;
}
