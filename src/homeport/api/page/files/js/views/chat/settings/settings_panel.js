/**
 * The panel with the chat's settings: beside the conversation on a wide screen, over it on a narrow one.
 */
import {Button, IconButton} from "../../../components/button.js";
import {ConfirmDialog, DialogFrame} from "../../../components/dialog.js";
import {Tabs} from "../../../components/tabs.js";
import {html, useEffect, useState} from "../../../html.js";
import {t} from "../../../i18n.js";
import {drafts} from "../settings_state.js";
import {AnswersTab} from "./answers_tab.js";
import {FormatTab} from "./format_tab.js";
import {countSet, withoutAll} from "./settings_fields.js";
import {ToolsTab} from "./tools_tab.js";

const WIDE = "(min-width: 80rem)"; // beside the views, the conversations and a readable column
const TABS = {answers: AnswersTab, tools: ToolsTab, format: FormatTab};

/**
 * @param {object} props
 * @param {import("./settings_fields.js").Settings} props.settings
 * @param {(settings: import("./settings_fields.js").Settings) => void} props.onChange
 * @param {import("../../../models.js").Model} props.model
 * @param {() => void} props.onClose
 * @param {() => void} props.onShowCode shows what would be sent now as code
 */
export function SettingsPanel(props) {
  const isWide = useMedia(WIDE);
  const label = t("chat.settings");
  if (isWide) return html`<aside class="chat-panel" aria-label=${label}><${Content} ...${props} /></aside>`;
  return html`
    <${DialogFrame} label=${label} className="drawer chat-sheet" onClose=${props.onClose}>
      <${Content} ...${props} />
    <//>`;
}

function Content({settings, onChange, model, onClose, onShowCode}) {
  const [tab, setTab] = useState("answers");
  const [isAsking, setAsking] = useState(false);
  const [round, setRound] = useState(0);
  const {fields} = settings;
  const toolCount = fields.tools?.length ?? 0;
  const reset = () => {
    drafts.clear();
    onChange(withoutAll(settings));
    setRound(round + 1);
  };
  const tabs = [
    {name: "answers", title: t("chat.tab_answers")},
    {name: "tools", title: toolCount ? t("chat.tab_tools_count", {count: toolCount}) : t("chat.tab_tools")},
    {name: "format", title: fields.response_format ? t("chat.tab_format_set") : t("chat.tab_format")},
  ];
  return html`
    <header class="chat-panel-head">
      <h2>${t("chat.settings")}</h2>
      <${IconButton} icon="close" label=${t("chat.settings_close")} onClick=${onClose} />
    </header>
    <div class="chat-panel-body">
      <${Tabs} label=${t("chat.settings")} tabs=${tabs} chosen=${tab} onChoose=${setTab}>
        <div class="setting-group">
          <${TABS[tab]} key=${`${tab} ${round}`} settings=${settings} onChange=${onChange} model=${model} />
        </div>
      <//>
    </div>
    <footer class="chat-panel-foot">
      <${Button} icon="code" onClick=${onShowCode}>${t("chat.as_code")}<//>
      <${Button} disabled=${!countSet(settings) && !drafts.size} onClick=${() => setAsking(true)}>${t("chat.reset")}<//>
    </footer>
    ${isAsking && html`
      <${ConfirmDialog} title=${t("chat.reset_title")} text=${t("chat.reset_text")} confirm=${t("chat.reset")}
        cancel=${t("shell.cancel")} onConfirm=${reset} onClose=${() => setAsking(false)} />`}`;
}

/** Whether the window fits a media query, now and after each change. */
function useMedia(query) {
  const [fits, setFits] = useState(() => matchMedia(query).matches);
  useEffect(() => {
    const media = matchMedia(query);
    const update = () => setFits(media.matches);
    media.addEventListener("change", update);
    return () => media.removeEventListener("change", update);
  }, [query]);
  return fits;
}
