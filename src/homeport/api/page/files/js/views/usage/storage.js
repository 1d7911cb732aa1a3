/**
 * What each project stores, and how much of its limit that is.
 */
import {ErrorState, Progress, Skeleton} from "../../components/states.js";
import {Table} from "../../components/table.js";
import {requestJson} from "../../client.js";
import {describeError} from "../../errors.js";
import {formatBytes, formatNumber} from "../../format.js";
import {html} from "../../html.js";
import {t} from "../../i18n.js";
import {useResource} from "../../resource.js";

const loadStorage = async (signal) => (await requestJson("/admin/v1/storage", {signal})).data;

/** The section. */
export function Storage() {
  return html`<section><h2>${t("usage.storage")}</h2><${Content} /></section>`;
}

function Content() {
  const {value: projects, error, reload} = useResource(loadStorage);
  if (error && !projects) {
    return html`<${ErrorState} title=${t("usage.storage_failed")} text=${describeError(error)}
      action=${t("shell.retry")} onAction=${reload} />`;
  }
  if (!projects) return html`<${Skeleton} />`;
  if (!projects.length) return html`<p class="muted">${t("usage.no_storage")}</p>`;
  const size = (name, title) => ({name, title, isNumber: true, cell: (row) => formatBytes(row[name])});
  const columns = [
    {name: "project", title: t("usage.project"),
      cell: ({project}) => html`<span class="usage-name name" title=${project}>${project}</span>`},
    {name: "share", title: t("usage.of_limit"), cell: (row) => html`<${Share} row=${row} />`},
    size("total", t("usage.total")),
    size("files", t("usage.files")),
    size("parts", t("usage.parts")),
    size("pictures", t("usage.pictures")),
    size("models", t("usage.models")),
    size("responses", t("usage.responses")),
  ];
  return html`
    <${Table} label=${t("usage.storage")} columns=${columns} rows=${projects} rowKey=${({project}) => project} />`;
}

function Share({row: {project, total, limit}}) {
  const share = limit ? total / limit : 0;
  const text = t("usage.share", {share: formatNumber(share * 100, 1), limit: formatBytes(limit)});
  return html`
    <span class="usage-share"><${Progress} label=${`${project}: ${text}`} value=${Math.min(share, 1)} />
      <small class="muted">${text}</small></span>`;
}
