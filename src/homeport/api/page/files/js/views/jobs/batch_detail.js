/**
 * One batch: how far it is, what went wrong, and its files.
 */
import {Button} from "../../components/button.js";
import {ConfirmDialog} from "../../components/dialog.js";
import {showToast} from "../../components/toast.js";
import {requestJson} from "../../client.js";
import {describeError} from "../../errors.js";
import {formatDate, formatNumber} from "../../format.js";
import {html, useState} from "../../html.js";
import {t} from "../../i18n.js";
import {Counts} from "./counts.js";
import {Detail, Facts, useDetail} from "./detail.js";
import {downloadFile} from "./file_actions.js";
import {hasEnded, Status} from "./status.js";

/** @param {{scope: import("./lists.js").Scope, id: string}} props */
export function BatchDetail({scope, id}) {
  const found = useDetail(scope, "/batches", id);
  return html`
    <${Detail} back="batches" found=${found}>
      ${found.value && html`<${Batch} batch=${found.value} isOwned=${found.isOwned} reload=${found.reload} />`}
    <//>`;
}

function Batch({batch, isOwned, reload}) {
  const [isAsking, setAsking] = useState(false);
  const cancel = async () => {
    try {
      await requestJson(`/v1/batches/${encodeURIComponent(batch.id)}/cancel`, {method: "POST"});
    } catch (error) {
      showToast(describeError(error), "error");
    }
    reload();
  };
  const {input_tokens: read, output_tokens: written} = batch.usage;
  const facts = [
    [t("jobs.endpoint"), html`<code>${batch.endpoint}</code>`],
    [t("jobs.model"), batch.model],
    [t("jobs.input_file"), html`<code>${batch.input_file_id}</code>`],
    [t("jobs.created"), formatDate(batch.created_at)],
    [t("jobs.ended"), batch.completed_at && formatDate(batch.completed_at)],
    [t("jobs.tokens"), t("jobs.tokens_of", {read: formatNumber(read), written: formatNumber(written)})],
  ];
  const isOpen = !hasEnded(batch.status) && batch.status !== "cancelling";
  return html`
    <header class="detail-head">
      <h2><code>${batch.id}</code></h2><${Status} status=${batch.status} />
    </header>
    <div class="box">
      <${Counts} batch=${batch} />
      <${Facts} facts=${facts} />
      ${isOwned && html`
        <div class="button-row">
          ${batch.output_file_id && html`
            <${Button} icon="download" onClick=${() => downloadFile(batch.output_file_id)}>${t("jobs.output")}<//>`}
          ${batch.error_file_id && html`
            <${Button} icon="download" onClick=${() => downloadFile(batch.error_file_id)}>${t("jobs.error_file")}<//>`}
          ${isOpen && html`<${Button} kind="danger" onClick=${() => setAsking(true)}>${t("jobs.cancel")}<//>`}
        </div>`}
    </div>
    ${batch.errors && html`
      <section class="jobs-errors" aria-label=${t("jobs.errors")}>
        <h3>${t("jobs.errors")}</h3>
        <ul>${batch.errors.data.map((error, i) => html`
          <li key=${i}>${error.line ? `${t("jobs.line", {line: error.line})}: ` : ""}${error.message}</li>`)}</ul>
      </section>`}
    ${isAsking && html`
      <${ConfirmDialog} title=${t("jobs.cancel_batch")} text=${t("jobs.cancel_batch_text")}
        confirm=${t("jobs.cancel")} cancel=${t("jobs.keep")} onConfirm=${cancel}
        onClose=${() => setAsking(false)} />`}`;
}
