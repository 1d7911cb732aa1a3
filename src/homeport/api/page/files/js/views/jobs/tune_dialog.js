/**
 * A new fine-tune: files, base model, method and hyperparameters. What is left empty the server chooses.
 */
import {Button} from "../../components/button.js";
import {DialogFrame} from "../../components/dialog.js";
import {SelectField, TextField} from "../../components/field.js";
import {requestJson} from "../../client.js";
import {describeError} from "../../errors.js";
import {html, useState} from "../../html.js";
import {t} from "../../i18n.js";
import {listModels} from "../../models.js";
import {useResource} from "../../resource.js";
import {addressOf} from "../../router.js";
import {FileField} from "./file_field.js";

const EMPTY = {
  training: "", validation: "", model: "", method: "supervised", epochs: "", batch: "", rate: "", beta: "", suffix: "",
  seed: "",
};

/** @param {{onClose: () => void}} props */
export function TuneDialog({onClose}) {
  const {value: models} = useResource(listModels);
  const [fields, setFields] = useState(EMPTY);
  const [isBusy, setBusy] = useState(false);
  const [error, setError] = useState(null);
  const trainable = (models ?? []).filter((model) => model.capabilities.includes("completions"));
  const model = fields.model || trainable[0]?.id || "";
  const change = (name) => (value) => setFields((before) => ({...before, [name]: value}));
  const create = async (event) => {
    event.preventDefault();
    setBusy(true);
    setError(null);
    try {
      const body = toBody({...fields, model});
      const job = await requestJson("/v1/fine_tuning/jobs", {method: "POST", body});
      onClose();
      location.hash = addressOf("jobs", "fine-tunes", job.id);
    } catch (failure) {
      setError(failure);
      setBusy(false);
    }
  };
  return html`
    <${DialogFrame} label=${t("jobs.new_tune")} onClose=${onClose}>
      <form class="dialog-form" onSubmit=${create}>
        <h2>${t("jobs.new_tune")}</h2>
        <${FileField} label=${t("jobs.training_file")} purpose="fine-tune" value=${fields.training}
          onChoose=${change("training")} />
        <${SelectField} label=${t("jobs.base_model")} value=${model} onChoose=${change("model")}
          options=${trainable.map(({id}) => ({value: id, name: id}))} />
        <${TextField} label=${t("jobs.suffix")} hint=${t("jobs.suffix_hint")} value=${fields.suffix} maxlength="64"
          onInput=${(event) => change("suffix")(event.target.value)} />
        <${Hyperparameters} fields=${fields} change=${change} />
        ${Boolean(error) && html`<p class="notice notice-error" role="alert">${describeError(error)}</p>`}
        <div class="dialog-actions">
          <${Button} onClick=${onClose}>${t("shell.cancel")}<//>
          <${Button} kind="primary" type="submit" disabled=${!fields.training || !model} isBusy=${isBusy}>
            ${t("jobs.create")}<//>
        </div>
      </form>
    <//>`;
}

function Hyperparameters({fields, change}) {
  const number = (name, label, rest) => html`
    <${TextField} label=${label} type="number" value=${fields[name]} placeholder=${t("jobs.auto")}
      onInput=${(event) => change(name)(event.target.value)} ...${rest} />`;
  const methods = [{value: "supervised", name: t("jobs.supervised")}, {value: "dpo", name: t("jobs.dpo")}];
  return html`
    <details class="more-options">
      <summary>${t("jobs.more_options")}</summary>
      <div class="form-grid">
        <${SelectField} label=${t("jobs.method")} value=${fields.method} options=${methods}
          onChoose=${change("method")} />
        ${number("epochs", t("jobs.epochs"), {min: 1, max: 50, step: 1})}
        ${number("batch", t("jobs.batch_size"), {min: 1, max: 256, step: 1})}
        ${number("rate", t("jobs.rate"), {min: 0, step: "any"})}
        ${fields.method === "dpo" && number("beta", t("jobs.beta"), {min: 0, max: 2, step: "any"})}
        ${number("seed", t("jobs.seed"), {min: 0, max: 2147483647, step: 1})}
      </div>
      <${FileField} label=${t("jobs.validation_file")} purpose="fine-tune" value=${fields.validation}
        none=${t("jobs.no_validation")} onChoose=${change("validation")} />
    </details>`;
}

function toBody({training, validation, model, method, epochs, batch, rate, beta, suffix, seed}) {
  const given = (entries) => Object.fromEntries(Object.entries(entries).filter(([, value]) => value !== ""));
  const numbers = (entries) => Object.fromEntries(
    Object.entries(given(entries)).map(([name, value]) => [name, Number(value)]),
  );
  const hyperparameters = numbers({
    n_epochs: epochs, batch_size: batch, learning_rate_multiplier: rate, beta: method === "dpo" ? beta : "",
  });
  return {
    model, training_file: training, method: {type: method, [method]: {hyperparameters}},
    ...given({validation_file: validation, suffix: suffix.trim()}), ...numbers({seed}),
  };
}
