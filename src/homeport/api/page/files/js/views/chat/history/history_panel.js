/**
 * The list of conversations with what can be done with all of them: search, keep, export, import and erase.
 */
import {IconButton} from "../../../components/button.js";
import {ConfirmDialog, DialogFrame} from "../../../components/dialog.js";
import {Menu} from "../../../components/menu.js";
import {SwitchField} from "../../../components/switch.js";
import {showToast} from "../../../components/toast.js";
import {html, useRef, useState} from "../../../html.js";
import {t} from "../../../i18n.js";
import {Icon} from "../../../icons.js";
import {replaceAddress, addressOf} from "../../../router.js";
import {useSignal} from "../../../signal.js";
import {HistoryList} from "./history_list.js";
import {addImported, exported, forgetAll, heads, isKeeping, keep, keepingError, startNew} from "./library.js";
import {exportText, ImportError, readFile, saveFile} from "./transfer.js";

/** Over the conversation, on narrow screens. @param {{onClose: () => void}} props */
export function HistoryDrawer({onClose}) {
  return html`
    <${DialogFrame} label=${t("chat.history")} className="drawer history-drawer" onClose=${onClose}>
      <${History} onClose=${onClose} onChoose=${onClose} />
    <//>`;
}

/** @param {{onClose: () => void, onChoose?: () => void}} props `onChoose` is called when a conversation is chosen */
export function History({onClose, onChoose}) {
  const [search, setSearch] = useState("");
  const hasAny = useSignal(heads).length > 0;
  const begin = () => {
    startNew();
    replaceAddress(addressOf("chat"));
    onChoose?.();
    document.querySelector(".composer textarea")?.focus();
  };
  return html`
    <header class="history-head">
      <h2>${t("chat.history")}</h2>
      <${IconButton} icon="plus" label=${t("chat.new")} onClick=${begin} />
      <${IconButton} icon=${onChoose ? "close" : "panel"} label=${t("chat.hide_history")} onClick=${onClose} />
    </header>
    ${hasAny && html`
      <div class="history-search">
        <${Icon} name="search" />
        <input class="input" type="search" aria-label=${t("chat.search")} placeholder=${t("chat.search")}
          value=${search} onInput=${(event) => setSearch(event.target.value)} />
      </div>`}
    <${HistoryList} search=${search} onChoose=${onChoose} />
    <${HistoryFoot} hasAny=${hasAny} />`;
}

function HistoryFoot({hasAny}) {
  const isKept = useSignal(isKeeping);
  const error = useSignal(keepingError);
  const [asked, setAsked] = useState(null);
  const file = useRef(null);
  const change = (isOn) => (isOn || !hasAny ? keep(isOn) : setAsked("unkeep"));
  const exportAll = async () => {
    const all = await exported(heads.get().map((head) => head.id));
    saveFile(exportText(all), "homeport-conversations.json");
  };
  const items = [
    {name: t("chat.import"), icon: "upload", onChoose: () => file.current.click()},
    ...(hasAny ? [
      {name: t("chat.export_all"), icon: "download", onChoose: exportAll},
      {name: t("chat.erase_all"), icon: "trash", onChoose: () => setAsked("erase")},
    ] : []),
  ];
  const note = error && isKept ? t("chat.keep_failed") : isKept ? t("chat.keep_on") : t("chat.keep_off");
  return html`
    <footer class="history-foot">
      <div class="history-keep">
        <${SwitchField} label=${t("chat.keep")} hint=${note} isOn=${isKept} onChange=${change} />
        <${Menu} icon="more" label=${t("chat.all")} items=${items} />
      </div>
      <input ref=${file} type="file" accept=".json,application/json" hidden onChange=${importFile} />
    </footer>
    ${asked === "erase" && html`
      <${ConfirmDialog} title=${t("chat.erase_title")} text=${t("chat.erase_text")} confirm=${t("chat.erase_all")}
        cancel=${t("shell.cancel")} onConfirm=${forgetAll} onClose=${() => setAsked(null)} />`}
    ${asked === "unkeep" && html`
      <${ConfirmDialog} title=${t("chat.unkeep_title")} text=${t("chat.unkeep_text")} confirm=${t("chat.unkeep")}
        cancel=${t("shell.cancel")} onConfirm=${() => keep(false)} onClose=${() => setAsked(null)} />`}`;
}

/** Take the conversations of the chosen file, and say how many there were or why it was refused. */
async function importFile(event) {
  const field = event.target;
  const [file] = field.files;
  field.value = ""; // so that the same file can be chosen again
  if (!file) return;
  try {
    const all = await readFile(file);
    const added = await addImported(all);
    const known = all.length - added;
    showToast(known ? t("chat.imported_some", {added, known}) : t("chat.imported", {added}));
  } catch (error) {
    if (!(error instanceof ImportError)) throw error;
    showToast(describeRefusal(error), "error");
  }
}

function describeRefusal({reason, place}) {
  if (reason === "size") return t("chat.import_size");
  if (reason === "json") return t("chat.import_json");
  return reason === "format" ? t("chat.import_format") : t("chat.import_damaged", {place});
}
