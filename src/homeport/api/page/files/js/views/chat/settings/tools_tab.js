/**
 * The settings of tools: their declarations as JSON, and which of them may be called.
 */
import {Button} from "../../../components/button.js";
import {SelectField} from "../../../components/field.js";
import {SwitchField} from "../../../components/switch.js";
import {html} from "../../../html.js";
import {t} from "../../../i18n.js";
import {useDraft} from "./draft.js";
import {AreaField} from "./setting_controls.js";
import {withField} from "./settings_fields.js";
import {parseTools, toolName, TOOLS_EXAMPLE, withTools} from "./tools_text.js";

/**
 * @param {object} props
 * @param {import("./settings_fields.js").Settings} props.settings
 * @param {(settings: import("./settings_fields.js").Settings) => void} props.onChange
 */
export function ToolsTab({settings, onChange}) {
  const {tools, tool_choice: choice, parallel_tool_calls: parallel} = settings.fields;
  const shown = tools ? JSON.stringify(tools, null, 2) : "";
  const {text, error, write} = useDraft("tools", shown, parseTools, (value) => onChange(withTools(settings, value)));
  const choose = (value) => onChange(withField(settings, "tool_choice", toChoice(value, tools)));
  const options = [
    {value: "", name: t("chat.choice_auto")},
    {value: "none", name: t("chat.choice_none")},
    {value: "required", name: t("chat.choice_required")},
    ...(tools ?? []).map((tool) => ({value: `=${toolName(tool)}`, name: toolName(tool)})),
  ];
  return html`
    <p class="muted">${t("chat.tools_about")}</p>
    <${AreaField} label=${t("chat.tools_json")} value=${text} error=${error && `${error} ${t("chat.not_sent")}`}
      hint=${t("chat.tools_hint")} rows=${12} isCode=${true} onWrite=${write}>
      ${text ? html`<${Button} onClick=${() => write("")}>${t("chat.clear")}<//>`
        : html`<${Button} onClick=${() => write(JSON.stringify(TOOLS_EXAMPLE, null, 2))}>${t("chat.example")}<//>`}
    <//>
    ${tools && html`
      <${SelectField} label=${t("chat.choice")} options=${options} value=${showChoice(choice)} onChoose=${choose} />
      <${SwitchField} label=${t("chat.parallel")} isOn=${parallel !== false}
        onChange=${(isOn) => onChange(withField(settings, "parallel_tool_calls", isOn ? undefined : false))} />`}`;
}

function toChoice(value, tools) {
  if (!value.startsWith("=")) return value || undefined;
  const {type} = tools.find((tool) => toolName(tool) === value.slice(1));
  return {type, [type]: {name: value.slice(1)}};
}

function showChoice(choice) {
  return typeof choice === "object" ? `=${choice[choice.type].name}` : (choice ?? "");
}
