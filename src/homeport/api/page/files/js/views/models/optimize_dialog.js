/**
 * Asks in which layout a model is to run, and starts the optimization.
 */
import {Button} from "../../components/button.js";
import {DialogFrame} from "../../components/dialog.js";
import {prose} from "../../components/prose.js";
import {describeError} from "../../errors.js";
import {html, useState} from "../../html.js";
import {t} from "../../i18n.js";
import {layoutSize} from "./facts.js";
import {startOptimization} from "./library.js";

const BEST = "";
const LAYOUTS = ["original", "q8_0", "q4_0", "bf16"];

/**
 * @param {object} props
 * @param {import("./library.js").LibraryModel} props.model
 * @param {() => void} props.onStarted
 * @param {() => void} props.onClose
 */
export function OptimizeDialog({model, onStarted, onClose}) {
  const [layout, setLayout] = useState(BEST);
  const [isDry, setDry] = useState(false);
  const [error, setError] = useState(null);
  const [isBusy, setBusy] = useState(false);
  const submit = async (event) => {
    event.preventDefault();
    setBusy(true);
    try {
      await startOptimization(model.id, {layout: layout || null, dry_run: isDry});
      onStarted();
      onClose();
    } catch (problem) {
      setError(problem);
      setBusy(false);
    }
  };
  return html`
    <${DialogFrame} label=${t("models.optimization_of", {model: model.id})} onClose=${onClose}>
      <form class="dialog-form" onSubmit=${submit}>
        <h2>${t("models.optimization_of", {model: model.id})}</h2>
        <p class="muted">${t("models.optimize_about")}</p>
        <fieldset class="options"><legend class="only-read">${t("models.layout")}</legend>
          ${[BEST, ...LAYOUTS].map((each) => html`
            <${Option} key=${each} model=${model} layout=${each} isChosen=${each === layout} onChoose=${setLayout} />`)}
        </fieldset>
        <label class="check"><input type="checkbox" checked=${isDry}
          onChange=${(event) => setDry(event.target.checked)} />${t("models.only_measure")}</label>
        ${error && html`<p class="notice notice-error" role="alert">${prose(describeError(error))}</p>`}
        <div class="dialog-actions">
          <${Button} onClick=${onClose}>${t("shell.cancel")}<//>
          <${Button} kind="primary" type="submit" isBusy=${isBusy}>${t("models.optimize")}<//>
        </div>
      </form>
    <//>`;
}

function Option({model, layout, isChosen, onChoose}) {
  const names = {
    [BEST]: t("models.layout_best"), original: t("models.layout_original"), q8_0: t("models.layout_q8_0"),
    q4_0: t("models.layout_q4_0"), bf16: t("models.layout_bf16"),
  };
  const size = layout === BEST ? null : layoutSize(model, layout);
  const isActive = layout !== BEST && layout === model.layout;
  return html`
    <label class="option">
      <input type="radio" name="layout" value=${layout} checked=${isChosen} onChange=${() => onChoose(layout)} />
      <span>${names[layout]}${isActive && html` <span class="tag">${t("models.active")}</span>`}</span>
      ${size && html`<span class="muted small">${size}</span>`}
    </label>`;
}
