/**
 * The list of all stores of the project.
 */
import {Button} from "../../components/button.js";
import {Menu} from "../../components/menu.js";
import {EmptyState, ErrorState, Skeleton} from "../../components/states.js";
import {describeError} from "../../errors.js";
import {formatBytes} from "../../format.js";
import {html, useState} from "../../html.js";
import {t} from "../../i18n.js";
import {Icon} from "../../icons.js";
import {usePolling} from "../../polling.js";
import {useResource} from "../../resource.js";
import {addressOf} from "../../router.js";
import {Counts, expiryOf} from "./facts.js";
import {listEmbeddingModels, listStores} from "./store_data.js";
import {DeleteStoreDialog, StoreDialog} from "./store_dialogs.js";

const LIVE_MS = 1000;
const IDLE_MS = 15000;
const PULL = "homeport pull multilingual-e5-small";

/** The list, with what creates, renames and deletes. */
export function StoreList() {
  const [pages, setPages] = useState(1);
  const [dialog, setDialog] = useState(null);
  const stores = useResource((signal) => listStores(pages, signal), [pages]);
  const models = useResource(listEmbeddingModels);
  const rows = stores.value?.rows ?? [];
  const isLive = rows.some(({file_counts: counts}) => counts.in_progress);
  usePolling(() => stores.isLoading || stores.reload(), isLive ? LIVE_MS : IDLE_MS);
  const create = models.value?.length > 0 && html`
    <${Button} kind="primary" icon="plus" onClick=${() => setDialog({kind: "edit"})}>${t("stores.create")}<//>`;
  const close = () => setDialog(null);
  const saved = (store) => {
    if (dialog.item) stores.reload();
    else location.hash = addressOf("stores", store.id);
    close();
  };
  return html`
    <header class="stores-head">
      <div class="page-head"><h1>${t("stores.title")}</h1><p class="muted">${t("stores.explained")}</p></div>
      ${rows.length > 0 && create}
    </header>
    ${rows.length > 0 && models.value?.length === 0 && html`
      <p class="notice">${t("stores.no_model")} <code>${PULL}</code></p>`}
    <section><${Body} stores=${stores} models=${models} create=${create} onAsk=${setDialog}
      onMore=${() => setPages(pages + 1)} /></section>
    ${dialog?.kind === "edit" && html`
      <${StoreDialog} item=${dialog.item} models=${models.value ?? []} onSaved=${saved} onClose=${close} />`}
    ${dialog?.kind === "delete" && html`
      <${DeleteStoreDialog} item=${dialog.item} onDeleted=${stores.reload} onClose=${close} />`}`;
}

function Body({stores, models, create, onAsk, onMore}) {
  const failed = [stores, models].find(({value, error}) => error && !value);
  if (failed) {
    return html`<${ErrorState} title=${t("stores.list_failed")} text=${describeError(failed.error)}
      action=${t("shell.retry")} onAction=${failed.reload} />`;
  }
  if (!stores.value || !models.value) return html`<${Skeleton} lines=${5} />`;
  const {rows, hasMore} = stores.value;
  if (!rows.length && !models.value.length) {
    return html`
      <${EmptyState} title=${t("stores.no_model")} text=${t("stores.pull_hint")}><code>${PULL}</code><//>`;
  }
  if (!rows.length) {
    return html`<${EmptyState} title=${t("stores.none")} text=${t("stores.none_hint")}>${create}<//>`;
  }
  return html`
    <ul class="rows" aria-label=${t("stores.title")}>
      ${rows.map((store) => html`<${StoreRow} key=${store.id} item=${store} onAsk=${onAsk} />`)}
    </ul>
    ${hasMore && html`<div class="button-row"><${Button} onClick=${onMore}>${t("stores.more")}<//></div>`}`;
}

function StoreRow({item, onAsk}) {
  const name = item.name || t("stores.unnamed");
  const facts = [item.embedding_model, expiryOf(item)].filter(Boolean).join(" · ");
  const items = [
    {name: t("stores.edit"), icon: "edit", onChoose: () => onAsk({kind: "edit", item})},
    {name: t("stores.delete"), icon: "trash", onChoose: () => onAsk({kind: "delete", item})},
  ];
  return html`
    <li class="row store-row" aria-label=${name}>
      <${Icon} name="library" />
      <div class="store-text">
        <a class="clip store-link" href=${addressOf("stores", item.id)} title=${name}>${name}</a>
        <span class="muted small clip" title=${facts}>${facts}</span>
      </div>
      <span class="store-counts">
        <${Counts} store=${item} /><span class="store-size muted small">${formatBytes(item.usage_bytes)}</span></span>
      <${Menu} icon="more" label=${t("stores.more_of", {name})} items=${items} />
    </li>`;
}
