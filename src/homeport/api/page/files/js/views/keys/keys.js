/**
 * The view `keys`: who may use which models, and how much.
 */
import {Button} from "../../components/button.js";
import {Chips, SearchField} from "../../components/chips.js";
import {ConfirmDialog} from "../../components/dialog.js";
import {EmptyState, ErrorState, Skeleton} from "../../components/states.js";
import {showToast} from "../../components/toast.js";
import {describeError} from "../../errors.js";
import {formatNumber} from "../../format.js";
import {html, useState} from "../../html.js";
import {addWords, t} from "../../i18n.js";
import {usePolling} from "../../polling.js";
import {useResource} from "../../resource.js";
import {refreshSession, session} from "../../session.js";
import {useSignal} from "../../signal.js";
import {loadKeys, revokeKey, rotateKey, usageOf} from "./key_data.js";
import {KeyDialog} from "./key_dialog.js";
import {KeyRow} from "./key_row.js";
import {SecretDialog} from "./secret_dialog.js";
import english from "./words/en.js";
import chinese from "./words/zh.js";

addWords({en: english, zh: chinese});

const REFRESH_MS = 15000;

/** The view. */
export default function Keys() {
  const {access} = useSignal(session);
  const hasUsage = access.features.includes("usage");
  const {value, error, reload} = useResource((signal) => loadKeys(hasUsage, signal), [hasUsage]);
  const [dialog, setDialog] = useState(null);
  usePolling(reload, REFRESH_MS);
  const body = () => {
    if (!value && error) {
      return html`<${ErrorState} title=${t("keys.failed")} text=${describeError(error)}
        action=${t("shell.retry")} onAction=${reload} />`;
    }
    if (!value) return html`<${Skeleton} lines=${5} />`;
    if (!value.keys.length) return html`<${EmptyState} title=${t("keys.none")} text=${t("keys.none_hint")} />`;
    return html`<${KeyList} keys=${value.keys} usage=${hasUsage ? value.usage : null} onAsk=${setDialog} />`;
  };
  return html`
    <div class="page-body">
      <header class="page-head keys-head">
        <h1>${t("keys.title")}</h1>
        <${Button} kind="primary" icon="plus" onClick=${() => setDialog({kind: "create"})}>${t("keys.create")}<//>
      </header>
      ${access.keyless && html`<p class="notice">${t("keys.keyless")}</p>`}
      <section>${body()}</section>
      ${dialog && html`<${Dialogs} dialog=${dialog} projects=${projectsOf(value)} onAsk=${setDialog}
        onChange=${reload} />`}
    </div>`;
}

function projectsOf(value) {
  return [...new Set((value?.keys ?? []).map((key) => key.project))].sort();
}

function KeyList({keys, usage, onAsk}) {
  const [text, setText] = useState("");
  const [status, setStatus] = useState("active");
  const count = (name) => keys.filter((key) => !name || key.status === name).length;
  const names = {
    active: t("keys.active"), expired: t("keys.expired"), revoked: t("keys.revoked"), "": t("keys.all"),
  };
  const options = Object.entries(names).map(([value, name]) => ({value, name, count: formatNumber(count(value))}));
  const wanted = text.trim().toLowerCase();
  const shown = keys.filter((key) => (!status || key.status === status)
    && [key.name, key.project, key.hint, key.id, ...key.models].join(" ").toLowerCase().includes(wanted));
  return html`
    <div class="toolbar">
      <${SearchField} label=${t("keys.search")} value=${text} onChange=${setText} />
      <${Chips} label=${t("keys.status")} options=${options} value=${status} onChoose=${setStatus} />
    </div>
    ${shown.length
      ? html`<ul class="rows" aria-label=${t("keys.title")}>${shown.map((key) => html`
          <${KeyRow} key=${key.id} item=${key} usage=${usage && usageOf(usage, key.id)} onAsk=${onAsk} />`)}</ul>`
      : html`<${EmptyState} title=${t("keys.nothing_found")} text=${t("keys.nothing_found_hint")} />`}`;
}

/** The open dialog. After a key was created or rotated, it shows the secret. */
function Dialogs({dialog, projects, onAsk, onChange}) {
  const {kind, item} = dialog;
  const close = () => onAsk(null);
  const act = async (action) => {
    try {
      await action();
    } catch (error) {
      showToast(describeError(error), "error");
    }
    onChange();
  };
  const showSecret = (key) => onAsk({kind: "secret", item: key});
  const closeSecret = () => {
    close();
    refreshSession(); // after the first key, the server needs one
  };
  if (kind === "secret") return html`<${SecretDialog} key="secret" item=${item} onClose=${closeSecret} />`;
  if (kind === "create" || kind === "edit") {
    const saved = (key) => {
      onChange();
      if (key.secret) showSecret(key);
      else close();
    };
    return html`<${KeyDialog} key="form" item=${item ?? null} projects=${projects} onSaved=${saved}
      onClose=${close} />`;
  }
  const {name} = item;
  if (kind === "rotate") {
    // The dialog closes after this, so the secret is shown in the next one.
    const rotate = () => act(async () => showSecret(await rotateKey(item)));
    return html`
      <${ConfirmDialog} key="rotate" title=${t("keys.rotate_title", {name})} text=${t("keys.rotate_text")}
        confirm=${t("keys.rotate")} cancel=${t("shell.cancel")} onConfirm=${rotate} onClose=${close} />`;
  }
  const revoke = () => act(async () => {
    await revokeKey(item);
    showToast(t("keys.revoked_toast", {name}));
  });
  return html`
    <${ConfirmDialog} key="revoke" title=${t("keys.revoke_title", {name})} text=${t("keys.revoke_text")}
      confirm=${t("keys.revoke")} cancel=${t("shell.cancel")} onConfirm=${revoke} onClose=${close} />`;
}
