/**
 * A switch that is on or off, with a label beside it and a hint below.
 */
import {html, useMemo} from "../html.js";

let count = 0;

/**
 * @param {object} props
 * @param {string} props.label
 * @param {string} [props.hint]
 * @param {boolean} props.isOn
 * @param {(isOn: boolean) => void} props.onChange it stays as it was unless the caller changes `isOn`
 */
export function SwitchField({label, hint, isOn, onChange}) {
  const id = useMemo(() => `switch-${++count}`, []);
  return html`
    <div class="switch-field">
      <button id=${id} class="switch" type="button" role="switch" aria-checked=${isOn} aria-labelledby="${id}-label"
        aria-describedby=${hint ? `${id}-hint` : undefined} onClick=${() => onChange(!isOn)}></button>
      <label id="${id}-label" for=${id}>${label}</label>
      ${hint && html`<p id="${id}-hint" class="field-hint">${hint}</p>`}
    </div>`;
}
