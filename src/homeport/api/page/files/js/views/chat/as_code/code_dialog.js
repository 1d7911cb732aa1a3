/**
 * A dialog with a request as programs in several languages, to be copied.
 */
import {IconButton} from "../../../components/button.js";
import {DialogFrame} from "../../../components/dialog.js";
import {SwitchField} from "../../../components/switch.js";
import {Tabs} from "../../../components/tabs.js";
import {html, useState} from "../../../html.js";
import {t} from "../../../i18n.js";
import {lastingStorage} from "../../../storage.js";
import {CodeBlock} from "../../../text/code_block.js";
import {LANGUAGES, shortenData, toCode, withoutStream} from "./request_code.js";

const CHOICE = "code-language";

/**
 * @param {object} props
 * @param {Record<string, any>} props.request the body that was sent, or that would be
 * @param {boolean} props.needsKey whether the server wants a key
 * @param {() => void} props.onClose
 */
export function CodeDialog({request, needsKey, onClose}) {
  const [language, setLanguage] = useState(() => knownLanguage(lastingStorage.read(CHOICE)));
  const [isStreamed, setStreamed] = useState(Boolean(request.stream));
  const [isWhole, setWhole] = useState(false);
  const body = isStreamed ? request : withoutStream(request);
  const shortened = shortenData(body);
  const baseUrl = `${location.origin}/v1`;
  const code = toCode(language, {baseUrl, body: isWhole ? body : shortened.body, needsKey});
  const choose = (name) => {
    lastingStorage.write(CHOICE, name);
    setLanguage(name);
  };
  const tabs = [
    {name: "curl", title: t("chat.code_curl")},
    {name: "python", title: t("chat.code_python")},
    {name: "python_2023", title: t("chat.code_python_2023")},
    {name: "node", title: t("chat.code_node")},
  ];
  return html`
    <${DialogFrame} label=${t("chat.as_code")} className="dialog code-dialog" onClose=${onClose}>
      <header class="chat-panel-head">
        <h2>${t("chat.as_code")}</h2>
        <${IconButton} icon="close" label=${t("shell.close")} onClick=${onClose} />
      </header>
      <${Tabs} label=${t("chat.code_language")} tabs=${tabs} chosen=${language} onChoose=${choose}>
        <${CodeBlock} code=${code} language=${LANGUAGES[language]} isClosed=${true} />
      <//>
      <div class="code-notes">
        ${needsKey && html`<p class="muted">${t("chat.code_key")}</p>`}
        ${shortened.isShortened && html`
          <${SwitchField} label=${t("chat.code_whole")} hint=${t("chat.code_shortened")} isOn=${isWhole}
            onChange=${setWhole} />`}
        ${request.stream && html`
          <${SwitchField} label=${t("chat.code_stream")} isOn=${isStreamed} onChange=${setStreamed} />`}
      </div>
    <//>`;
}

function knownLanguage(name) {
  return name in LANGUAGES ? name : "curl";
}
