/**
 * The files: upload, look into, download, delete.
 */
import {Button, IconButton} from "../../components/button.js";
import {ConfirmDialog} from "../../components/dialog.js";
import {showToast} from "../../components/toast.js";
import {requestJson} from "../../client.js";
import {describeError} from "../../errors.js";
import {formatBytes, formatDate} from "../../format.js";
import {html, useState} from "../../html.js";
import {t} from "../../i18n.js";
import {downloadFile} from "./file_actions.js";
import {FilePreview} from "./file_preview.js";
import {isOwn, PagedTable, pathIn, projectColumn, usePages} from "./lists.js";
import {purposeNames} from "./purposes.js";
import {UploadDialog} from "./upload_dialog.js";

/** @param {{scope: import("./lists.js").Scope}} props */
export function FilesTab({scope}) {
  const pages = usePages(pathIn(scope, "/files"));
  const [isUploading, setUploading] = useState(false);
  const [shown, setShown] = useState(null);
  const [doomed, setDoomed] = useState(null);
  const remove = async () => {
    try {
      await requestJson(`/v1/files/${encodeURIComponent(doomed.id)}`, {method: "DELETE"});
      showToast(t("jobs.deleted", {name: doomed.filename}));
    } catch (error) {
      showToast(describeError(error), "error");
    }
    pages.reload();
  };
  const name = (file) => (isOwn(scope, file)
    ? html`<button type="button" class="link name" title=${file.filename}
        onClick=${() => setShown(file)}>${file.filename}</button>`
    : html`<span class="name" title=${file.filename}>${file.filename}</span>`);
  const purposes = purposeNames();
  const columns = [
    {name: "filename", title: t("jobs.name"), cell: (file) => html`
      <span class="two-lines">${name(file)}<code class="muted">${file.id}</code></span>`},
    ...projectColumn(scope),
    {name: "purpose", title: t("jobs.purpose"), cell: (file) => purposes[file.purpose] ?? file.purpose},
    {name: "bytes", title: t("jobs.size"), isNumber: true, cell: (file) => formatBytes(file.bytes)},
    {name: "created_at", title: t("jobs.created"), cell: (file) => formatDate(file.created_at)},
    {name: "actions", title: "", cell: (file) => isOwn(scope, file) && html`
      <span class="row-actions">
        <${IconButton} icon="download" label=${t("jobs.download", {name: file.filename})}
          onClick=${() => downloadFile(file.id, file.filename)} />
        <${IconButton} icon="trash" label=${t("jobs.delete", {name: file.filename})}
          onClick=${() => setDoomed(file)} />
      </span>`},
  ];
  const upload = scope.project !== null && html`
    <${Button} kind="primary" icon="upload" onClick=${() => setUploading(true)}>${t("jobs.upload")}<//>`;
  const isEmpty = pages.rows?.length === 0;
  return html`
    <div class="jobs">
      ${!isEmpty && html`<div class="button-row">${upload}</div>`}
      <${PagedTable} pages=${pages} label=${t("jobs.files")} columns=${columns} action=${upload}
        empty=${{title: t("jobs.no_files"), text: t("jobs.no_files_hint")}} />
      ${isUploading && html`
        <${UploadDialog} onClose=${() => setUploading(false)} onUploaded=${pages.reload} />`}
      ${shown && html`<${FilePreview} file=${shown} onClose=${() => setShown(null)} />`}
      ${doomed && html`
        <${ConfirmDialog} title=${t("jobs.delete_title")} text=${t("jobs.delete_text", {name: doomed.filename})}
          confirm=${t("jobs.delete_confirm")} cancel=${t("shell.cancel")} onConfirm=${remove}
          onClose=${() => setDoomed(null)} />`}
    </div>`;
}
