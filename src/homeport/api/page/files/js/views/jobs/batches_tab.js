/**
 * The batches: what they have done, and new ones.
 */
import {Button} from "../../components/button.js";
import {formatDate} from "../../format.js";
import {html, useState} from "../../html.js";
import {t} from "../../i18n.js";
import {addressOf} from "../../router.js";
import {BatchDialog} from "./batch_dialog.js";
import {Counts} from "./counts.js";
import {PagedTable, pathIn, projectColumn, usePages} from "./lists.js";
import {hasEnded, Status} from "./status.js";

/** @param {{scope: import("./lists.js").Scope}} props */
export function BatchesTab({scope}) {
  const pages = usePages(pathIn(scope, "/batches"), (rows) => rows.some(({status}) => !hasEnded(status)));
  const [isCreating, setCreating] = useState(false);
  const columns = [
    {name: "id", title: t("jobs.batch"), cell: (batch) => html`
      <span class="two-lines"><a class="name" href=${addressOf("jobs", "batches", batch.id)}>${batch.endpoint}</a>
        <code class="muted" title=${batch.id}>${batch.id}</code></span>`},
    ...projectColumn(scope),
    {name: "status", title: t("jobs.status"), cell: (batch) => html`<${Status} status=${batch.status} />`},
    {name: "counts", title: t("jobs.progress"), cell: (batch) => html`<${Counts} batch=${batch} />`},
    {name: "created_at", title: t("jobs.created"), cell: (batch) => formatDate(batch.created_at)},
  ];
  const create = scope.project !== null && html`
    <${Button} kind="primary" icon="plus" onClick=${() => setCreating(true)}>${t("jobs.new_batch")}<//>`;
  return html`
    <div class="jobs">
      ${pages.rows?.length !== 0 && html`<div class="button-row">${create}</div>`}
      <${PagedTable} pages=${pages} label=${t("jobs.batches")} columns=${columns} action=${create}
        empty=${{title: t("jobs.no_batches"), text: t("jobs.no_batches_hint")}} />
      ${isCreating && html`<${BatchDialog} onClose=${() => setCreating(false)} onCreated=${pages.reload} />`}
    </div>`;
}
