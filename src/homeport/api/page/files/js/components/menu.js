/**
 * A button with a menu. Arrow keys move inside it; Escape, or a click elsewhere, closes it.
 */
import {html, useMemo, useRef, useState} from "../html.js";
import {Icon} from "../icons.js";

const GAP_PX = 6;
const STEPS = {ArrowDown: 1, ArrowUp: -1};
let count = 0;

/**
 * @param {object} props
 * @param {string} props.label what the button is for
 * @param {string} [props.icon]
 * @param {string} [props.text] shown beside the icon
 * @param {{name: string, icon?: string, lang?: string, isChecked?: boolean, onChoose: () => void}[]} props.items
 */
export function Menu({label, icon, text, items}) {
  const id = useMemo(() => `menu-${++count}`, []);
  const button = useRef(null);
  const list = useRef(null);
  const [isOpen, setOpen] = useState(false);
  const onToggle = (event) => {
    setOpen(event.newState === "open");
    if (event.newState === "open") place(list.current, button.current);
  };
  const choose = (item) => {
    list.current.hidePopover();
    item.onChoose();
  };
  return html`
    <button ref=${button} class=${text ? "menu-button" : "icon-button icon-button-quiet"} type="button"
      popovertarget=${id} aria-haspopup="menu" aria-expanded=${isOpen} aria-label=${text ? `${label}: ${text}` : label}
      title=${label}>
      <${Icon} name=${icon} />${text && html`<span>${text}</span>`}
    </button>
    <div ref=${list} id=${id} class="menu" popover="auto" role="menu" aria-label=${label} onToggle=${onToggle}
      onKeyDown=${move}>
      ${items.map((item) => html`
        <button key=${item.name} type="button" class="menu-item" lang=${item.lang}
          role=${item.isChecked === undefined ? "menuitem" : "menuitemradio"} aria-checked=${item.isChecked}
          onClick=${() => choose(item)}>
          <span class="menu-mark">${item.isChecked && html`<${Icon} name="check" />`}
            ${item.icon && html`<${Icon} name=${item.icon} />`}</span>${item.name}
        </button>`)}
    </div>`;
}

/** Put the menu above or below its button, inside the window, and the focus on its choice. */
function place(list, button) {
  const anchor = button.getBoundingClientRect();
  const {width, height} = list.getBoundingClientRect();
  const below = anchor.bottom + GAP_PX;
  const top = below + height > innerHeight ? anchor.top - height - GAP_PX : below;
  list.style.top = `${Math.max(GAP_PX, top)}px`;
  list.style.left = `${Math.max(GAP_PX, Math.min(anchor.left, innerWidth - width - GAP_PX))}px`;
  (list.querySelector('[aria-checked="true"]') ?? list.querySelector("button"))?.focus();
}

function move(event) {
  const step = STEPS[event.key];
  if (!step) return;
  event.preventDefault();
  const items = [...event.currentTarget.querySelectorAll("button")];
  const next = items.indexOf(document.activeElement) + step;
  items[(next + items.length) % items.length].focus();
}
