/**
 * Tabs: arrow keys choose, and only the chosen one takes part in the order of Tab.
 */
import {html, useMemo} from "../html.js";

const STEPS = {ArrowRight: 1, ArrowLeft: -1};
let count = 0;

/**
 * @param {object} props
 * @param {string} props.label
 * @param {{name: string, title: string}[]} props.tabs
 * @param {string} props.chosen the name of one
 * @param {(name: string) => void} props.onChoose
 */
export function Tabs({label, tabs, chosen, onChoose, children}) {
  const id = useMemo(() => `tabs-${++count}`, []);
  const move = (event) => {
    const step = STEPS[event.key];
    if (!step) return;
    event.preventDefault();
    const at = tabs.findIndex((tab) => tab.name === chosen);
    const next = tabs[(at + step + tabs.length) % tabs.length].name;
    onChoose(next);
    document.getElementById(`${id}-${next}`).focus();
  };
  return html`
    <div class="tabs" role="tablist" aria-label=${label} onKeyDown=${move}>
      ${tabs.map((tab) => html`
        <button key=${tab.name} id="${id}-${tab.name}" type="button" class="tab" role="tab"
          aria-selected=${tab.name === chosen} aria-controls="${id}-panel" tabindex=${tab.name === chosen ? 0 : -1}
          onClick=${() => onChoose(tab.name)}>${tab.title}</button>`)}
    </div>
    <div id="${id}-panel" class="tab-panel" role="tabpanel" aria-labelledby="${id}-${chosen}">${children}</div>`;
}
