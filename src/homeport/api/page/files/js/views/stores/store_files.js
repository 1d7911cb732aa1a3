/**
 * The documents of a store: their status, why some failed, and removing them.
 */
import {Button, IconButton} from "../../components/button.js";
import {Chips} from "../../components/chips.js";
import {ConfirmDialog} from "../../components/dialog.js";
import {EmptyState, ErrorState, Skeleton} from "../../components/states.js";
import {showToast} from "../../components/toast.js";
import {requestJson} from "../../client.js";
import {describeError} from "../../errors.js";
import {formatBytes, formatDate, formatNumber} from "../../format.js";
import {html, useMemo, useState} from "../../html.js";
import {t} from "../../i18n.js";
import {Icon} from "../../icons.js";
import {useResource} from "../../resource.js";
import {listStoreFiles, pathOf} from "./store_data.js";

/**
 * @param {object} props
 * @param {import("./store_data.js").Store} props.store the files are listed again when it was read again
 * @param {boolean} props.isAwaited whether more are on their way
 * @param {() => void} props.onChange after a file was removed
 */
export function StoreFiles({store, isAwaited, onChange}) {
  const [status, setStatus] = useState("");
  const [pages, setPages] = useState(1);
  const [doomed, setDoomed] = useState(null);
  const names = useMemo(() => new Map(), []);
  const counts = store.file_counts;
  const list = useResource(
    (signal) => listStoreFiles(store.id, {status, pages, names}, signal), [status, pages, store],
  );
  if (list.error && !list.value) {
    return html`<${ErrorState} title=${t("stores.files_failed")} text=${describeError(list.error)}
      action=${t("shell.retry")} onAction=${list.reload} />`;
  }
  if (!list.value) return html`<${Skeleton} lines=${4} />`;
  if (!counts.total) {
    return store.status !== "expired" && !isAwaited
      && html`<${EmptyState} title=${t("stores.no_files")} text=${t("stores.no_files_hint")} />`;
  }
  const choices = [
    {value: "", name: t("stores.all"), count: formatNumber(counts.total)},
    {value: "completed", name: t("stores.completed"), count: formatNumber(counts.completed)},
    {value: "in_progress", name: t("stores.in_progress"), count: formatNumber(counts.in_progress)},
    {value: "failed", name: t("stores.failed"), count: formatNumber(counts.failed)},
  ].filter(({value}) => !value || value === status || counts[value]);
  const {rows, hasMore} = list.value;
  return html`
    ${(counts.failed > 0 || status) && html`
      <${Chips} label=${t("stores.status")} options=${choices} value=${status} onChoose=${setStatus} />`}
    ${rows.length
      ? html`<ul class="rows" aria-label=${t("stores.files")}>${rows.map((file) => html`
          <${FileRow} key=${file.id} file=${file} onRemove=${() => setDoomed(file)} />`)}</ul>`
      : html`<p class="muted">${t("stores.none_of_status")}</p>`}
    ${hasMore && html`
      <div class="button-row"><${Button} onClick=${() => setPages(pages + 1)}>${t("stores.more")}<//></div>`}
    ${doomed && html`
      <${RemoveDialog} store=${store} file=${doomed} onRemoved=${onChange} onClose=${() => setDoomed(null)} />`}`;
}

function FileRow({file, onRemove}) {
  const {name, status, last_error: error, attributes} = file;
  const names = {
    in_progress: t("stores.in_progress"), failed: t("stores.failed"), cancelled: t("stores.cancelled"),
  };
  const facts = [
    formatDate(file.created_at), ...(status === "completed" ? [formatBytes(file.usage_bytes)] : []),
  ];
  const pairs = Object.entries(attributes ?? {});
  return html`
    <li class="row store-row file-row" aria-label=${name}>
      <${Icon} name="file" />
      <div class="store-text">
        <span class="store-title"><strong class="clip" title=${name}>${name}</strong>
          ${names[status] && html`<span class="tag stores-${status}">${names[status]}</span>`}</span>
        <span class="muted small">${facts.join(" · ")}</span>
        ${error && html`<span class="small stores-reason">${error.message}</span>`}
        ${pairs.length > 0 && html`
          <span class="tags">${pairs.map(([key, value]) => html`
            <span key=${key} class="tag clip" title="${key}: ${value}">${key}: ${String(value)}</span>`)}</span>`}
      </div>
      <span class="row-actions">
        <${IconButton} icon="trash" label=${t("stores.remove", {name})} onClick=${onRemove} />
      </span>
    </li>`;
}

function RemoveDialog({store, file, onRemoved, onClose}) {
  const [isWhole, setWhole] = useState(false);
  const {name} = file;
  const remove = async () => {
    try {
      // Deleting the file removes it from all stores.
      const path = isWhole ? `/v1/files/${encodeURIComponent(file.id)}` : pathOf(store.id, "files", file.id);
      await requestJson(path, {method: "DELETE"});
      showToast(t("stores.removed", {name}));
    } catch (error) {
      showToast(describeError(error), "error");
    }
    onRemoved();
  };
  return html`
    <${ConfirmDialog} title=${t("stores.remove_title")} text=${t("stores.remove_text", {name})}
      confirm=${isWhole ? t("stores.delete") : t("stores.remove_short")} cancel=${t("shell.cancel")}
      onConfirm=${remove} onClose=${onClose}>
      <label class="check"><input type="checkbox" checked=${isWhole}
        onChange=${({target}) => setWhole(target.checked)} />${t("stores.remove_whole")}</label>
    <//>`;
}
