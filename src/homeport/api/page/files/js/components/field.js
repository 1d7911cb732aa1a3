/**
 * Fields of forms: each has a label, and below it a hint or what is wrong.
 */
import {html, useMemo} from "../html.js";
import {prose} from "./prose.js";

let count = 0;

function useId() {
  return useMemo(() => `field-${++count}`, []);
}

/**
 * A line of text.
 *
 * @param {object} props
 * @param {string} props.label
 * @param {string} [props.hint]
 * @param {string} [props.error]
 */
export function TextField({label, hint, error, ...rest}) {
  const id = useId();
  return html`
    <div class="field">
      <label for=${id}>${label}</label>
      <input id=${id} class="input" aria-invalid=${Boolean(error)} aria-describedby="${id}-note" ...${rest} />
      <p id="${id}-note" class=${error ? "field-error" : "field-hint"} aria-live="polite">
        ${prose(error ?? hint)}
      </p>
    </div>`;
}

/**
 * Several lines of text.
 *
 * @param {object} props
 * @param {string} props.label
 * @param {string} [props.hint]
 */
export function TextAreaField({label, hint, ...rest}) {
  const id = useId();
  return html`
    <div class="field">
      <label for=${id}>${label}</label>
      <textarea id=${id} class="input text-area" aria-describedby=${hint ? `${id}-note` : undefined}
        ...${rest}></textarea>
      ${hint && html`<p id="${id}-note" class="field-hint">${hint}</p>`}
    </div>`;
}

/**
 * A choice of one. `isCompact`: the label is for screen readers only.
 *
 * @param {object} props
 * @param {string} props.label
 * @param {{value: string, name: string}[]} props.options
 * @param {string} props.value
 * @param {(value: string) => void} props.onChoose
 * @param {boolean} [props.isCompact]
 */
export function SelectField({label, options, value, onChoose, isCompact = false, ...rest}) {
  const id = useId();
  return html`
    <div class=${isCompact ? "field field-compact" : "field"}>
      <label for=${id} class=${isCompact ? "only-read" : ""}>${label}</label>
      <select id=${id} class="input select" value=${value} ...${rest}
        onChange=${(event) => onChoose(event.target.value)}>
        ${options.map((option) => html`
          <option key=${option.value} value=${option.value} selected=${option.value === value}>
            ${option.name}
          </option>`)}
      </select>
    </div>`;
}
