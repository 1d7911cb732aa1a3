/**
 * A row of buttons of which one is chosen: a filter.
 */
import {html} from "../html.js";

/**
 * @param {object} props
 * @param {string} props.label what they filter
 * @param {{value: string, name: string, count?: string}[]} props.options
 * @param {string} props.value
 * @param {(value: string) => void} props.onChoose
 */
export function Chips({label, options, value, onChoose}) {
  return html`
    <div class="chips" role="group" aria-label=${label}>
      ${options.map((option) => html`
        <button key=${option.value} type="button" class="chip" aria-pressed=${option.value === value}
          onClick=${() => onChoose(option.value)}>
          ${option.name}${option.count !== undefined && html` <span class="chip-count">${option.count}</span>`}
        </button>`)}
    </div>`;
}

/** @param {{label: string, value: string, onChange: (value: string) => void}} props */
export function SearchField({label, value, onChange}) {
  return html`
    <input class="input search" type="search" aria-label=${label} placeholder=${label} value=${value}
      autocomplete="off" spellcheck=${false} onInput=${(event) => onChange(event.target.value)} />`;
}
