/**
 * The settings of the answer's format: text, any JSON object, or JSON that a schema describes.
 */
import {Button} from "../../../components/button.js";
import {SelectField} from "../../../components/field.js";
import {html, useState} from "../../../html.js";
import {t} from "../../../i18n.js";
import {drafts} from "../settings_state.js";
import {useDraft} from "./draft.js";
import {parseSchema, SCHEMA_EXAMPLE, showSchema} from "./schema_text.js";
import {AreaField} from "./setting_controls.js";
import {withField} from "./settings_fields.js";

/**
 * @param {object} props
 * @param {import("./settings_fields.js").Settings} props.settings
 * @param {(settings: import("./settings_fields.js").Settings) => void} props.onChange
 */
export function FormatTab({settings, onChange}) {
  const format = settings.fields.response_format;
  const [kind, setKind] = useState(format?.type ?? (drafts.has("schema") ? "json_schema" : "text"));
  const set = (value) => onChange(withField(settings, "response_format", value));
  const {text, error, write} = useDraft("schema", showSchema(format), parseSchema, set);
  const choose = (value) => {
    setKind(value);
    if (value === "json_schema") write(text);
    else set(value === "json_object" ? {type: "json_object"} : undefined);
  };
  const options = [
    {value: "text", name: t("chat.format_text")},
    {value: "json_object", name: t("chat.format_object")},
    {value: "json_schema", name: t("chat.format_schema")},
  ];
  const example = () => write(JSON.stringify(SCHEMA_EXAMPLE, null, 2));
  return html`
    <${SelectField} label=${t("chat.format")} options=${options} value=${kind} onChoose=${choose} />
    ${kind === "json_object" && html`<p class="field-hint">${t("chat.format_object_hint")}</p>`}
    ${kind === "json_schema" && html`
      <${AreaField} label=${t("chat.schema")} value=${text} error=${error && `${error} ${t("chat.not_sent")}`}
        hint=${t("chat.schema_hint")} rows=${14} isCode=${true} onWrite=${write}>
        ${text ? html`<${Button} onClick=${() => write("")}>${t("chat.clear")}<//>`
          : html`<${Button} onClick=${example}>${t("chat.example")}<//>`}
      <//>`}`;
}
