/**
 * Short notices that leave by themselves, and that screen readers speak.
 */
import {html} from "../html.js";
import {createSignal, useSignal} from "../signal.js";

const SHOWN_MS = 5000;
let count = 0;

const toasts = createSignal([]);

/**
 * Show a notice for five seconds.
 *
 * @param {string} text
 * @param {"plain" | "error"} [kind]
 */
export function showToast(text, kind = "plain") {
  const id = ++count;
  toasts.set([...toasts.get(), {id, text, kind}]);
  setTimeout(() => toasts.set(toasts.get().filter((toast) => toast.id !== id)), SHOWN_MS);
}

/** The place of all notices; the page has one. */
export function Toasts() {
  const shown = useSignal(toasts);
  return html`
    <div class="toasts" role="status" aria-live="polite">
      ${shown.map(({id, text, kind}) => html`<div key=${id} class="toast toast-${kind}">${text}</div>`)}
    </div>`;
}
