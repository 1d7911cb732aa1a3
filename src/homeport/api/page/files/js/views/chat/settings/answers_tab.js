/**
 * The settings of how answers are written: the system prompt, sampling, reasoning, and probabilities.
 */
import {SelectField} from "../../../components/field.js";
import {SwitchField} from "../../../components/switch.js";
import {html, useState} from "../../../html.js";
import {t} from "../../../i18n.js";
import {useDraft} from "./draft.js";
import {thinks} from "./model_abilities.js";
import {MAIN_NUMBERS, MORE_NUMBERS, parseStops, showStops} from "./number_fields.js";
import {AreaField, NumberField} from "./setting_controls.js";
import {withField} from "./settings_fields.js";

const ALTERNATIVES = 5;

/**
 * @param {object} props
 * @param {import("./settings_fields.js").Settings} props.settings
 * @param {(settings: import("./settings_fields.js").Settings) => void} props.onChange
 * @param {import("../../../models.js").Model} props.model
 */
export function AnswersTab({settings, onChange, model}) {
  const {fields} = settings;
  const [isMoreOpen] = useState(() => isMoreSet(fields));
  const set = (name, value) => onChange(withField(settings, name, value));
  const number = (spec) => html`
    <${NumberField} key=${spec.name} spec=${spec} ...${numberTexts(spec.name)} value=${fields[spec.name]}
      onChange=${(value) => set(spec.name, value)} />`;
  const setProbabilities = (isOn) => {
    const changed = withField(settings, "logprobs", isOn || undefined);
    onChange(withField(changed, "top_logprobs", isOn ? ALTERNATIVES : undefined));
  };
  return html`
    <${AreaField} label=${t("chat.system")} hint=${t("chat.system_hint")} value=${settings.system} rows=${4}
      onWrite=${(system) => onChange({...settings, system})} />
    <div class="setting-grid">${MAIN_NUMBERS.map(number)}</div>
    ${canThink(model, fields) && html`<${Effort} value=${fields.reasoning_effort} set=${set} />`}
    <${SwitchField} label=${t("chat.probabilities")} hint=${t("chat.probabilities_hint")}
      isOn=${Boolean(fields.logprobs)} onChange=${setProbabilities} />
    <details class="setting-more" open=${isMoreOpen}>
      <summary>${t("chat.more_settings")}</summary>
      <div class="setting-group">
        <div class="setting-grid">${MORE_NUMBERS.map(number)}</div>
        <${Stops} value=${fields.stop} onChange=${(value) => set("stop", value)} />
      </div>
    </details>`;
}

function Effort({value = "", set}) {
  const options = [
    {value: "", name: t("chat.effort_default")},
    {value: "none", name: t("chat.effort_none")},
    {value: "low", name: t("chat.effort_low")},
    {value: "medium", name: t("chat.effort_medium")},
    {value: "high", name: t("chat.effort_high")},
  ];
  return html`
    <${SelectField} label=${t("chat.effort")} options=${options} value=${value}
      onChoose=${(effort) => set("reasoning_effort", effort || undefined)} />`;
}

function Stops({value, onChange}) {
  const {text, error, write} = useDraft("stop", showStops(value), parseStops, onChange);
  return html`
    <${AreaField} label=${t("chat.stops")} hint=${t("chat.stops_hint")} error=${error} value=${text} rows=${2}
      isCode=${true} onWrite=${write} />`;
}

/** A model that is not loaded has not yet said whether it thinks. */
function canThink(model, fields) {
  return Boolean(!model?.reasoning || thinks(model) || fields.reasoning_effort);
}

function isMoreSet(fields) {
  return fields.stop !== undefined || MORE_NUMBERS.some(({name}) => fields[name] !== undefined);
}

function numberTexts(name) {
  return {
    temperature: {label: t("chat.temperature"), hint: t("chat.temperature_hint")},
    top_p: {label: t("chat.top_p"), hint: t("chat.top_p_hint")},
    max_tokens: {label: t("chat.max_tokens"), hint: t("chat.max_tokens_hint")},
    seed: {label: t("chat.seed"), hint: t("chat.seed_hint")},
    presence_penalty: {label: t("chat.presence_penalty"), hint: t("chat.presence_penalty_hint")},
    frequency_penalty: {label: t("chat.frequency_penalty"), hint: t("chat.frequency_penalty_hint")},
    top_k: {label: t("chat.top_k"), hint: t("chat.top_k_hint")},
    min_p: {label: t("chat.min_p"), hint: t("chat.min_p_hint")},
  }[name];
}
