/**
 * The controls of the settings: a text of several lines, and a number.
 */
import {TextField} from "../../../components/field.js";
import {html, useMemo} from "../../../html.js";
import {useDraft} from "./draft.js";
import {parseNumber} from "./number_fields.js";

let count = 0;

/**
 * A text of several lines.
 *
 * @param {object} props
 * @param {string} props.label
 * @param {string} props.value
 * @param {(text: string) => void} props.onWrite
 * @param {string} [props.hint]
 * @param {string} [props.error]
 * @param {boolean} [props.isCode]
 * @param {number} [props.rows]
 */
export function AreaField({label, value, onWrite, hint, error, isCode = false, rows = 3, children, ...rest}) {
  const id = useMemo(() => `setting-${++count}`, []);
  return html`
    <div class="field">
      <div class="setting-head"><label for=${id}>${label}</label>${children}</div>
      <textarea id=${id} class=${isCode ? "input area area-code" : "input area"} rows=${rows} value=${value}
        spellcheck=${isCode ? "false" : undefined} aria-invalid=${Boolean(error)} aria-describedby="${id}-note"
        onInput=${(event) => onWrite(event.target.value)} ...${rest}></textarea>
      <p id="${id}-note" class=${error ? "field-error" : "field-hint"} aria-live="polite">${error ?? hint}</p>
    </div>`;
}

/**
 * A number that may be left empty.
 *
 * @param {object} props
 * @param {string} props.label
 * @param {string} [props.hint]
 * @param {import("./number_fields.js").NumberSpec} props.spec
 * @param {number} [props.value]
 * @param {(value: number | undefined) => void} props.onChange
 */
export function NumberField({label, hint, spec, value, onChange}) {
  const shown = value === undefined ? "" : String(value);
  const {text, error, write} = useDraft(spec.name, shown, (written) => parseNumber(written, spec), onChange);
  return html`
    <${TextField} label=${label} hint=${hint} error=${error} value=${text} placeholder=${spec.usual} autocomplete="off"
      inputmode=${spec.isInteger ? "numeric" : "decimal"} name=${spec.name}
      onInput=${(event) => write(event.target.value)} />`;
}
