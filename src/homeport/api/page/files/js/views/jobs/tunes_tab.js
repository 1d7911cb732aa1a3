/**
 * The fine-tunes: their states, and new ones.
 */
import {Button} from "../../components/button.js";
import {formatDate} from "../../format.js";
import {html, useState} from "../../html.js";
import {t} from "../../i18n.js";
import {addressOf} from "../../router.js";
import {PagedTable, pathIn, projectColumn, usePages} from "./lists.js";
import {hasEnded, Status} from "./status.js";
import {TuneDialog} from "./tune_dialog.js";

/** @param {{scope: import("./lists.js").Scope}} props */
export function TunesTab({scope}) {
  const pages = usePages(pathIn(scope, "/fine_tuning/jobs"), (rows) => rows.some(({status}) => !hasEnded(status)));
  const [isCreating, setCreating] = useState(false);
  const columns = [
    {name: "id", title: t("jobs.tune"), cell: (job) => html`
      <span class="two-lines"><a class="name" href=${addressOf("jobs", "fine-tunes", job.id)}>${job.model}</a>
        <code class="muted">${job.id}</code></span>`},
    ...projectColumn(scope),
    {name: "status", title: t("jobs.status"), cell: (job) => html`<${Status} status=${job.status} />`},
    {name: "result", title: t("jobs.result"), cell: (job) => (job.fine_tuned_model
      ? html`<span class="clipped" title=${job.fine_tuned_model}>${job.fine_tuned_model}</span>` : "–")},
    {name: "created_at", title: t("jobs.created"), cell: (job) => formatDate(job.created_at)},
  ];
  const create = scope.project !== null && html`
    <${Button} kind="primary" icon="plus" onClick=${() => setCreating(true)}>${t("jobs.new_tune")}<//>`;
  return html`
    <div class="jobs">
      ${pages.rows?.length !== 0 && html`<div class="button-row">${create}</div>`}
      <${PagedTable} pages=${pages} label=${t("jobs.tunes")} columns=${columns} action=${create}
        empty=${{title: t("jobs.no_tunes"), text: t("jobs.no_tunes_hint")}} />
      ${isCreating && html`<${TuneDialog} onClose=${() => setCreating(false)} />`}
    </div>`;
}
