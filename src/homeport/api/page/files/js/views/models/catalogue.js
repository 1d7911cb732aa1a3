/**
 * The models that can be pulled: by name from the catalogue, or by a reference that is typed in.
 */
import {Button} from "../../components/button.js";
import {Chips, SearchField} from "../../components/chips.js";
import {ConfirmDialog} from "../../components/dialog.js";
import {TextField} from "../../components/field.js";
import {prose} from "../../components/prose.js";
import {EmptyState} from "../../components/states.js";
import {describeError} from "../../errors.js";
import {formatBytes, formatNumber} from "../../format.js";
import {html, useState} from "../../html.js";
import {t} from "../../i18n.js";
import {Details} from "./details.js";
import {fitOf, KINDS, kindName, matches, windowOf} from "./facts.js";
import {Fit} from "./fit.js";
import {startPull} from "./library.js";

const EXAMPLES = "qwen3-4b · hf:Qwen/Qwen3-8B-GGUF:Q4_K_M";
const UNFINISHED = ["queued", "running", "paused", "interrupted"];

/**
 * @param {object} props
 * @param {import("./library.js").LibraryModel[]} props.models
 * @param {import("./library.js").Memory} props.memory
 * @param {import("./library.js").Job[]} props.jobs
 * @param {() => void} props.onJob
 */
export function Catalogue({models, memory, jobs, onJob}) {
  const [filter, setFilter] = useState({text: "", kind: "", fits: false});
  const [shownModel, setShown] = useState(null);
  const change = (name) => (value) => setFilter((before) => ({...before, [name]: value}));
  const ofKind = (kind) => models.filter((model) => !kind || model.kind === kind);
  const shown = ofKind(filter.kind).filter((model) => matches(model, filter.text)
    && (!filter.fits || fitOf(model, memory).level !== "too_large"));
  const kinds = ["", ...KINDS.filter((kind) => ofKind(kind).length)];
  const options = kinds.map((kind) => ({
    value: kind, name: kind ? kindName(kind) : t("models.all"), count: formatNumber(ofKind(kind).length),
  }));
  return html`
    <${PullForm} onJob=${onJob} />
    <div class="toolbar">
      <${SearchField} label=${t("models.search")} value=${filter.text} onChange=${change("text")} />
      <${Chips} label=${t("models.kind")} options=${options} value=${filter.kind} onChoose=${change("kind")} />
      <label class="check"><input type="checkbox" checked=${filter.fits}
        onChange=${(event) => change("fits")(event.target.checked)} />${t("models.only_fitting")}</label>
    </div>
    ${shown.length
      ? html`<ul class="rows" aria-label=${t("models.catalogue")}>${shown.map((model) => html`
          <${CatalogueRow} key=${model.id} model=${model} memory=${memory} onJob=${onJob} onShow=${setShown}
            isPulled=${jobs.some((job) => job.model === model.id && UNFINISHED.includes(job.status))} />`)}</ul>`
      : html`<${EmptyState} title=${t("models.nothing_found")} text=${t("models.nothing_found_hint")} />`}
    ${shownModel && html`<${Details} model=${shownModel} memory=${memory} onClose=${() => setShown(null)} />`}`;
}

function CatalogueRow({model, memory, isPulled, onJob, onShow}) {
  const [error, setError] = useState(null);
  const [isBusy, setBusy] = useState(false);
  const [isAsking, setAsking] = useState(false);
  const fit = fitOf(model, memory);
  const pull = async () => {
    setError(null);
    setBusy(true);
    try {
      await startPull({reference: model.id});
      onJob();
    } catch (problem) {
      setError(problem);
    }
    setBusy(false);
  };
  const window = windowOf(model);
  const notes = [
    model.size_bytes === null ? t("models.size_unknown") : formatBytes(model.size_bytes),
    ...(model.memory_bytes ? [t("models.needs", {memory: formatBytes(model.memory_bytes)})] : []),
    ...(window ? [t("models.window", {window})] : []),
    model.licence,
    ...(model.tested ? [] : [t("models.untested")]),
  ];
  return html`
    <li class="row model" aria-label=${model.id}>
      <div class="model-text">
        <span class="model-title">
          <button type="button" class="link-button clip" title=${model.id} onClick=${() => onShow(model)}>
            ${model.id}</button>
          <span class="tag">${kindName(model.kind)}</span><${Fit} model=${model} memory=${memory} /></span>
        ${model.summary && html`<span>${model.summary}</span>`}
        <span class="muted small">${notes.join(" · ")}</span>
        ${error && html`<p class="field-error" role="alert">${prose(describeError(error))}</p>`}
      </div>
      <div class="row-actions">
        <${Button} icon="download" isBusy=${isBusy} disabled=${isPulled}
          onClick=${() => (fit.level === "too_large" ? setAsking(true) : pull())}
          aria-label=${t("models.pull_of", {model: model.id})}>
          ${isPulled ? t("models.pulling") : t("models.pull")}
        <//>
      </div>
      ${isAsking && html`
        <${ConfirmDialog} title=${t("models.too_large_title", {model: model.id})} text=${fit.title}
          confirm=${t("models.pull")} cancel=${t("shell.cancel")} onConfirm=${pull}
          onClose=${() => setAsking(false)} />`}
    </li>`;
}

function PullForm({onJob}) {
  const [form, setForm] = useState({reference: "", projector: "", optimize: "auto"});
  const [error, setError] = useState(null);
  const [isBusy, setBusy] = useState(false);
  const change = (name) => (event) => {
    setError(null);
    setForm({...form, [name]: event.target.value});
  };
  const submit = async (event) => {
    event.preventDefault();
    setBusy(true);
    try {
      await startPull(pullBody(form));
      setForm({reference: "", projector: "", optimize: "auto"});
      onJob();
    } catch (problem) {
      setError(problem);
    }
    setBusy(false);
  };
  return html`
    <form class="pull-form" onSubmit=${submit}>
      <${TextField} label=${t("models.reference")} value=${form.reference} onInput=${change("reference")}
        placeholder=${EXAMPLES} autocomplete="off" spellcheck=${false} autocapitalize="off"
        error=${error ? describeError(error) : undefined} hint=${t("models.reference_hint")} />
      <${Button} kind="primary" icon="download" type="submit" isBusy=${isBusy} disabled=${!form.reference.trim()}>
        ${t("models.pull")}
      <//>
      <details class="pull-options">
        <summary>${t("models.options")}</summary>
        <div class="form-grid">
          <${TextField} label=${t("models.projector")} value=${form.projector} onInput=${change("projector")}
            autocomplete="off" spellcheck=${false} hint=${t("models.projector_hint")} />
          <${OptimizeChoice} value=${form.optimize} onChange=${change("optimize")} />
        </div>
      </details>
    </form>`;
}

function OptimizeChoice({value, onChange}) {
  return html`
    <label class="field"><span class="field-title">${t("models.optimize_after")}</span>
      <select class="input select" value=${value} onChange=${onChange}>
        <option value="auto">${t("models.optimize_auto")}</option>
        <option value="yes">${t("models.optimize_yes")}</option>
        <option value="no">${t("models.optimize_no")}</option>
      </select>
    </label>`;
}

function pullBody({reference, projector, optimize}) {
  return {
    reference: reference.trim(),
    ...(projector.trim() && {projector: projector.trim()}),
    ...(optimize !== "auto" && {optimize: optimize === "yes"}),
  };
}
