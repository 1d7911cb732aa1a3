/**
 * What is shown in place of content: nothing yet, an error, or that it is on its way.
 */
import {html} from "../html.js";
import {Icon} from "../icons.js";
import {Button} from "./button.js";

/** @param {{title: string, text?: string}} props `children`: what can be done about it */
export function EmptyState({title, text, children}) {
  return html`<div class="state"><h2>${title}</h2>${text && html`<p class="muted">${text}</p>`}${children}</div>`;
}

/** @param {{title: string, text?: string, action?: string, onAction?: () => void}} props */
export function ErrorState({title, text, action, onAction}) {
  return html`
    <div class="state state-error" role="alert">
      <${Icon} name="warning" /><h2>${title}</h2>${text && html`<p class="muted">${text}</p>`}
      ${action && html`<${Button} onClick=${onAction}>${action}<//>`}
    </div>`;
}

/** Lines in place of text that is being loaded. @param {{lines?: number}} props */
export function Skeleton({lines = 3}) {
  const all = Array.from({length: lines}, (_, i) => html`<span key=${i}></span>`);
  return html`<div class="skeleton" aria-busy="true">${all}</div>`;
}

/** @param {{label: string, value?: number}} props `value`: from 0 to 1; without it, how long it takes is unknown */
export function Progress({label, value}) {
  return html`<progress class="progress" aria-label=${label} max="1" value=${value}></progress>`;
}
