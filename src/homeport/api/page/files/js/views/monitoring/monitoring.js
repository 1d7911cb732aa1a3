/**
 * The monitoring view: what the server does now and did in the last 15 minutes, its workers, and the end of its log.
 */
import {Button} from "../../components/button.js";
import {SelectField} from "../../components/field.js";
import {ErrorState, Skeleton} from "../../components/states.js";
import {describeError} from "../../errors.js";
import {html, useState} from "../../html.js";
import {addWords, t} from "../../i18n.js";
import {CopyDiagnostics} from "./diagnostics.js";
import {Log} from "./log.js";
import {Panels} from "./panels.js";
import {useSeries} from "./use_series.js";
import {Workers} from "./workers.js";
import english from "./words/en.js";
import chinese from "./words/zh.js";

addWords({en: english, zh: chinese});

/** The view. */
export default function Monitoring() {
  const {series, error, retry} = useSeries();
  const [chosen, setChosen] = useState("");
  const names = Object.keys(series?.models ?? {}).sort();
  const model = names.includes(chosen) ? chosen : "";
  const options = [{value: "", name: t("monitoring.all_models")}, ...names.map((name) => ({value: name, name}))];
  return html`
    <div class="page-body monitoring">
      <header class="page-head monitoring-head">
        <h1>${t("monitoring.title")}</h1>
        <p class="muted">${t("monitoring.span")}</p>
        <div class="monitoring-actions">
          ${names.length > 0 && html`
            <${SelectField} label=${t("monitoring.model")} isCompact=${true} value=${model} onChoose=${setChosen}
              options=${options} />`}
          <${CopyDiagnostics} />
        </div>
      </header>
      ${error && series && html`
        <div class="notice notice-error monitoring-notice" role="alert">
          <span>${describeError(error)}</span><${Button} onClick=${retry}>${t("shell.retry")}<//>
        </div>`}
      <${Numbers} series=${series} error=${error} retry=${retry} model=${model} />
      <${Workers} loaded=${series && loadedOf(series)} />
      <${Log} />
    </div>`;
}

function Numbers({series, error, retry, model}) {
  if (series) return html`<${Panels} series=${series} model=${model} />`;
  if (!error) return html`<${Skeleton} lines=${6} />`;
  return html`<${ErrorState} title=${t("monitoring.failed")} text=${describeError(error)} action=${t("shell.retry")}
    onAction=${retry} />`;
}

/** @returns {string} the models that have a worker now: when it changes, the workers are listed again */
function loadedOf(series) {
  const names = Object.keys(series.models).filter((name) => series.models[name].memory_bytes.at(-1));
  return names.sort().join(" ");
}
