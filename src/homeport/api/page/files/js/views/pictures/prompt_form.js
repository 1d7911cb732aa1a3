/**
 * The form of generations and edits: the prompt and what the pictures are to be like.
 */
import {Button} from "../../components/button.js";
import {SelectField, TextAreaField, TextField} from "../../components/field.js";
import {describeError} from "../../errors.js";
import {html} from "../../html.js";
import {t} from "../../i18n.js";
import {useSignal} from "../../signal.js";
import {changeDraft, draft, generator} from "./draft.js";

const SIZES = ["256x256", "512x512", "1024x1024", "1536x1024", "1024x1536"];
const COUNTS = Array.from({length: 10}, (_, i) => String(i + 1));

/**
 * @param {object} props
 * @param {"generate" | "edit"} props.kind
 * @param {string} [props.missing] what must be done before it can begin
 * @param {() => void} props.onGenerate
 */
export function PromptForm({kind, missing, onGenerate}) {
  const values = useSignal(draft);
  const job = useSignal(generator.job);
  const isRunning = job?.state === "running";
  const name = kind === "edit" ? "editPrompt" : "prompt";
  const canGenerate = !isRunning && !missing && values[name].trim().length > 0;
  const submit = (event) => {
    event.preventDefault();
    if (canGenerate) onGenerate();
  };
  const onKeyDown = (event) => {
    // While a Chinese word is composed, Enter chooses it.
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) submit(event);
  };
  const set = (name) => (event) => changeDraft({[name]: event.target.value});
  return html`
    <form class="prompt-form" onSubmit=${submit}>
      <${TextAreaField} label=${kind === "edit" ? t("pictures.edit_prompt") : t("pictures.prompt")} rows="3"
        value=${values[name]} onInput=${set(name)} onKeyDown=${onKeyDown}
        placeholder=${kind === "edit" ? t("pictures.edit_example") : t("pictures.example")} />
      <div class="prompt-settings">
        ${kind === "generate" && html`<${Choice} label=${t("pictures.size")} name="size" options=${sizes()} />`}
        <${Choice} label=${t("pictures.count")} name="count"
          options=${COUNTS.map((value) => ({value, name: value}))} />
        <${Choice} label=${t("pictures.quality")} name="quality" options=${qualities()} />
        <${Choice} label=${t("pictures.format")} name="format" options=${formats()} />
      </div>
      <details class="prompt-more">
        <summary>${t("pictures.more")}</summary>
        <div class="prompt-settings">
          <${NumberField} label=${t("pictures.seed")} name="seed" max="4294967295" />
          <${NumberField} label=${t("pictures.steps")} name="steps" min="1" />
          <${NumberField} label=${t("pictures.guidance")} name="guidance" min="1" step="0.1" />
        </div>
        <${TextField} label=${t("pictures.negative")} value=${values.negative} onInput=${set("negative")} />
      </details>
      ${isRunning
        ? html`<${Button} key="stop" icon="stop" onClick=${() => generator.stop()}>${t("pictures.stop")}<//>`
        : html`<${Button} key="submit" kind="primary" type="submit" icon="brush" disabled=${!canGenerate}>
            ${t("pictures.submit")}
          <//>`}
      ${missing && !isRunning && html`<p class="muted prompt-missing">${missing}</p>`}
      ${job?.state === "failed" && [kind, "vary"].includes(job.kind) && html`
        <p class="notice notice-error" role="alert">${describeError(job.error)}</p>`}
    </form>`;
}

function Choice({label, name, options}) {
  return html`
    <${SelectField} label=${label} options=${options} value=${useSignal(draft)[name]}
      onChoose=${(value) => changeDraft({[name]: value})} />`;
}

function NumberField({label, name, ...rest}) {
  return html`
    <${TextField} type="number" min="0" inputmode="decimal" label=${label} value=${useSignal(draft)[name]}
      placeholder=${t("pictures.automatic")} onInput=${(event) => changeDraft({[name]: event.target.value})}
      ...${rest} />`;
}

function sizes() {
  return [
    {value: "auto", name: t("pictures.size_auto")},
    ...SIZES.map((value) => ({value, name: value.replace("x", " × ")})),
  ];
}

function qualities() {
  return [
    {value: "auto", name: t("pictures.quality_auto")},
    {value: "low", name: t("pictures.quality_low")},
    {value: "high", name: t("pictures.quality_high")},
  ];
}

function formats() {
  return ["png", "jpeg", "webp"].map((value) => ({value, name: value.toUpperCase()}));
}
