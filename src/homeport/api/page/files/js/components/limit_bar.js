/**
 * How much of a limit is used: in words, and as a bar whose color warns from four fifths on.
 */
import {html} from "../html.js";

const HIGH = 0.8;

/**
 * @param {object} props
 * @param {string} props.label what is limited
 * @param {string} props.text the numbers in words
 * @param {number} props.used
 * @param {number | null} props.limit null: there is none, and no bar
 */
export function LimitBar({label, text, used, limit}) {
  if (limit === null) return html`<span class="limit">${label}<span>${text}</span></span>`;
  const share = limit ? Math.min(1, used / limit) : 1;
  const level = share >= 1 ? "full" : share >= HIGH ? "high" : "low";
  return html`
    <span class="limit">${label}<span>${text}</span>
      <progress class="progress limit-${level}" aria-label="${label}: ${text}" max="1" value=${share}></progress>
    </span>`;
}
