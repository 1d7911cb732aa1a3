/**
 * One store: a search in its documents, and the documents.
 */
import {FileDrop} from "../../components/file_drop.js";
import {Menu} from "../../components/menu.js";
import {ErrorState, Progress, Skeleton} from "../../components/states.js";
import {describeError} from "../../errors.js";
import {formatBytes, formatNumber} from "../../format.js";
import {html, useEffect, useState} from "../../html.js";
import {t} from "../../i18n.js";
import {Icon} from "../../icons.js";
import {usePolling} from "../../polling.js";
import {useResource} from "../../resource.js";
import {addressOf} from "../../router.js";
import {expiryOf} from "./facts.js";
import {readStore} from "./store_data.js";
import {DeleteStoreDialog, StoreDialog} from "./store_dialogs.js";
import {StoreFiles} from "./store_files.js";
import {StoreSearch} from "./store_search.js";
import {UploadList} from "./upload_list.js";
import {uploadDocuments, useUpload} from "./uploads.js";

const LIVE_MS = 1000;
const IDLE_MS = 15000;

/** @param {{id: string}} props */
export function StoreDetail({id}) {
  const [dialog, setDialog] = useState(null);
  const {value: store, error, isLoading, reload} = useResource((signal) => readStore(id, signal), [id]);
  const upload = useUpload(id);
  const isLive = store?.file_counts.in_progress > 0;
  usePolling(() => isLoading || reload(), isLive ? LIVE_MS : IDLE_MS);
  useEffect(() => {
    if (store) reload();
  }, [upload?.attached]);
  const back = html`
    <a class="stores-back" href=${addressOf("stores")}><${Icon} name="left" />${t("stores.back")}</a>`;
  if (!store) {
    return html`${back}${error
      ? html`<${ErrorState} title=${t("stores.load_failed")} text=${describeError(error)} action=${t("shell.retry")}
          onAction=${reload} />`
      : html`<${Skeleton} lines=${6} />`}`;
  }
  const close = () => setDialog(null);
  const saved = () => {
    reload();
    close();
  };
  return html`
    <${StoreHead} store=${store} back=${back} onAsk=${setDialog} />
    ${store.file_counts.completed > 0 && html`<${StoreSearch} id=${id} />`}
    <section>
      <h2>${t("stores.files")}</h2>
      ${store.status === "expired"
        ? html`<p class="notice">${t("stores.expired_hint")}</p>`
        : html`<${FileDrop} label=${t("stores.add_files")} hint=${t("stores.add_hint")} isMultiple=${true}
            onFiles=${(files) => uploadDocuments(id, files)} />`}
      ${upload && html`<${UploadList} id=${id} upload=${upload} />`}
      ${isLive && html`<${Indexing} counts=${store.file_counts} />`}
      <${StoreFiles} store=${store} isAwaited=${Boolean(upload?.name)} onChange=${reload} />
    </section>
    ${dialog === "edit" && html`<${StoreDialog} item=${store} models=${[]} onSaved=${saved} onClose=${close} />`}
    ${dialog === "delete" && html`
      <${DeleteStoreDialog} item=${store} onClose=${close}
        onDeleted=${() => location.replace(addressOf("stores"))} />`}`;
}

function StoreHead({store, back, onAsk}) {
  const name = store.name || t("stores.unnamed");
  const facts = [
    t("stores.files_count", {count: formatNumber(store.file_counts.total)}), formatBytes(store.usage_bytes),
    store.embedding_model, expiryOf(store),
  ];
  const items = [
    {name: t("stores.edit"), icon: "edit", onChoose: () => onAsk("edit")},
    {name: t("stores.delete"), icon: "trash", onChoose: () => onAsk("delete")},
  ];
  return html`
    <header class="stores-head">
      <div class="page-head">
        ${back}<h1 class="stores-name">${name}</h1>
        <p class="muted small">${facts.filter(Boolean).join(" · ")}</p>
      </div>
      <${Menu} icon="more" label=${t("stores.more_of", {name})} items=${items} />
    </header>`;
}

function Indexing({counts}) {
  const done = counts.total - counts.in_progress;
  const text = t("stores.indexing", {done: formatNumber(done), total: formatNumber(counts.total)});
  return html`
    <div class="box" role="status">
      <span>${text}</span><${Progress} label=${text} value=${done / counts.total} />
      <span class="muted small">${t("stores.indexing_hint")}</span>
    </div>`;
}
