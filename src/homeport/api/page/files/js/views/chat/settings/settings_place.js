/**
 * What a conversation always has of the settings: their button, and their place beside it while they are open. Also
 * what would be sent now as code.
 */
import {IconButton} from "../../../components/button.js";
import {lazy} from "../../../components/lazy.js";
import {html, useState} from "../../../html.js";
import {t} from "../../../i18n.js";
import {session} from "../../../session.js";
import {useSignal} from "../../../signal.js";
import {toContent} from "../attachments/content_fields.js";
import {buildRequest} from "../request.js";
import {settings} from "../settings_state.js";
import {isSettingsOpen} from "./kept_settings.js";
import {countSet} from "./settings_fields.js";

const CodeDialog = lazy(() => import("../as_code/code_dialog.js").then((module) => module.CodeDialog));
const SettingsPanel = lazy(() => import("./settings_panel.js").then((module) => module.SettingsPanel));

/** The button that shows and hides the settings; a dot on it says that some are set. */
export function SettingsButton() {
  const isOpen = useSignal(isSettingsOpen);
  const count = countSet(useSignal(settings));
  return html`
    <span class=${count ? "settings-button settings-button-set" : "settings-button"}>
      <${IconButton} icon="settings" aria-expanded=${isOpen} onClick=${() => isSettingsOpen.set(!isOpen)}
        label=${count ? t("chat.settings_set", {count}) : t("chat.settings")} />
    </span>`;
}

/**
 * @param {object} props
 * @param {import("../conversation.js").Conversation} props.conversation
 * @param {import("../../../models.js").Model} props.model
 */
export function SettingsPlace({conversation, model}) {
  const isOpen = useSignal(isSettingsOpen);
  const value = useSignal(settings);
  const [isCodeShown, showCode] = useState(false);
  return html`
    ${isOpen && html`
      <${SettingsPanel} settings=${value} onChange=${(next) => settings.set(next)} model=${model}
        onClose=${() => isSettingsOpen.set(false)} onShowCode=${() => showCode(true)} />`}
    ${isCodeShown && html`
      <${CodeDialog} request=${nextRequest(conversation)} needsKey=${!session.get().access?.keyless}
        onClose=${() => showCode(false)} />`}`;
}

/** What would be sent now, with what is written in the field, or with an example in its place. */
function nextRequest(conversation) {
  const {draft, attachments} = conversation;
  const content = toContent(draft.trim() || (attachments.length ? "" : t("chat.code_sample")), attachments);
  return buildRequest([...conversation.path(), {message: {role: "user", content}}], settings.get());
}
