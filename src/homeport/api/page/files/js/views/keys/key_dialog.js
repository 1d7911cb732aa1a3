/**
 * The form of a key: a new one, or one that is changed.
 */
import {Button} from "../../components/button.js";
import {DialogFrame} from "../../components/dialog.js";
import {SelectField, TextField} from "../../components/field.js";
import {prose} from "../../components/prose.js";
import {describeError} from "../../errors.js";
import {formatDate} from "../../format.js";
import {html, useState} from "../../html.js";
import {t} from "../../i18n.js";
import {useResource} from "../../resource.js";
import {changeKey, createKey, formOf, LIMITS, loadModelNames} from "./key_data.js";

const DAYS = ["1", "7", "30", "90", "365"];
const CUSTOM = "custom";

/**
 * @param {object} props
 * @param {import("./key_data.js").Key | null} props.item null: a new one
 * @param {string[]} props.projects those that exist
 * @param {(key: import("./key_data.js").Key) => void} props.onSaved
 * @param {() => void} props.onClose
 */
export function KeyDialog({item, projects, onSaved, onClose}) {
  const [form, setForm] = useState(() => formOf(item));
  const [error, setError] = useState(null);
  const [isBusy, setBusy] = useState(false);
  const set = (fields) => {
    setError(null);
    setForm((before) => ({...before, ...fields}));
  };
  const submit = async (event) => {
    event.preventDefault();
    setBusy(true);
    try {
      onSaved(await (item ? changeKey(item, form) : createKey(form)));
    } catch (problem) {
      setError(problem);
      setBusy(false);
    }
  };
  const title = item ? t("keys.edit_of", {name: item.name}) : t("keys.create");
  return html`
    <${DialogFrame} label=${title} className="dialog dialog-wide" onClose=${onClose}>
      <form class="dialog-form" onSubmit=${submit}>
        <h2 class="clip" title=${title}>${title}</h2>
        <div class="form-grid">
          <${TextField} label=${t("keys.name")} value=${form.name} onInput=${(event) => set({name: event.target.value})}
            autocomplete="off" spellcheck=${false} autofocus required hint=${t("keys.name_hint")} />
          ${!item && html`
            <${TextField} label=${t("keys.project")} value=${form.project} list="key-projects" autocomplete="off"
              spellcheck=${false} hint=${t("keys.project_hint")}
              onInput=${(event) => set({project: event.target.value})} />
            <datalist id="key-projects">
              ${projects.map((each) => html`<option key=${each} value=${each} />`)}
            </datalist>`}
        </div>
        <${Models} chosen=${form.models} onChange=${(models) => set({models})} />
        <${Limits} limits=${form.limits} onChange=${(limits) => set({limits})} />
        <${Expiry} item=${item} expiry=${form.expiry} onChange=${(expiry) => set({expiry})} />
        ${error && html`<p class="notice notice-error" role="alert">${prose(describeError(error))}</p>`}
        <div class="dialog-actions">
          <${Button} onClick=${onClose}>${t("shell.cancel")}<//>
          <${Button} kind="primary" type="submit" isBusy=${isBusy}
            disabled=${!form.name.trim() || form.models?.length === 0 || form.expiry === ""}>
            ${item ? t("keys.save") : t("keys.create")}
          <//>
        </div>
      </form>
    <//>`;
}

/** All models, or those that are checked. `chosen`: null for all. */
function Models({chosen, onChange}) {
  const {value: installed, error} = useResource(loadModelNames);
  const names = [...new Set([...(installed ?? []), ...(chosen ?? [])])];
  const toggle = (name) => {
    onChange(chosen.includes(name) ? chosen.filter((each) => each !== name) : [...chosen, name]);
  };
  return html`
    <fieldset class="key-group"><legend>${t("keys.models")}</legend>
      <label class="check"><input type="radio" name="models" checked=${chosen === null}
        onChange=${() => onChange(null)} />${t("keys.all_models")}</label>
      <label class="check"><input type="radio" name="models" checked=${chosen !== null}
        onChange=${() => onChange([])} />${t("keys.some_models")}</label>
      ${chosen !== null && html`
        <div class="key-models">
          ${error && html`<p class="field-error">${describeError(error)}</p>`}
          ${names.map((name) => html`
            <label key=${name} class="check"><input type="checkbox" checked=${chosen.includes(name)}
              onChange=${() => toggle(name)} /><span class="clip" title=${name}>${name}</span></label>`)}
        </div>`}
    </fieldset>`;
}

function Limits({limits, onChange}) {
  const labels = {
    requests_per_minute: t("keys.requests_per_minute"), tokens_per_minute: t("keys.tokens_per_minute"),
    tokens_per_day: t("keys.tokens_per_day"), tokens_per_month: t("keys.tokens_per_month"),
    concurrent_requests: t("keys.concurrent_requests"), storage_bytes: t("keys.storage"),
  };
  return html`
    <fieldset class="key-group"><legend>${t("keys.limits")}</legend>
      <div class="form-grid key-limits">
        ${LIMITS.map((name) => html`
          <${TextField} key=${name} label=${labels[name]} type="number" min="0"
            step=${name === "storage_bytes" ? "any" : "1"} placeholder=${t("keys.no_limit")} value=${limits[name]}
            onInput=${(event) => onChange({...limits, [name]: event.target.value})} />`)}
      </div>
    </fieldset>`;
}

function Expiry({item, expiry, onChange}) {
  const isCustom = !["keep", "never", ...DAYS].includes(expiry);
  const kept = item?.expires_at ? t("keys.expiry_keep", {time: formatDate(item.expires_at)}) : t("keys.expiry_never");
  const options = [
    ...(item ? [{value: "keep", name: kept}] : []),
    ...(!item || item.expires_at ? [{value: "never", name: t("keys.expiry_never")}] : []),
    ...DAYS.map((days) => ({value: days, name: t("keys.expiry_days", {days})})),
    {value: CUSTOM, name: t("keys.expiry_custom")},
  ];
  return html`
    <div class="form-grid">
      <${SelectField} label=${t("keys.expiry")} options=${options} value=${isCustom ? CUSTOM : expiry}
        onChoose=${(value) => onChange(value === CUSTOM ? "" : value)} />
      ${isCustom && html`
        <${TextField} label=${t("keys.expiry_in_days")} type="number" min="0" step="any" required value=${expiry}
          onInput=${(event) => onChange(event.target.value)} />`}
    </div>`;
}
