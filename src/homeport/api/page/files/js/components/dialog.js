/**
 * Dialogs. The browser's own element keeps the focus inside, closes with Escape and gives the focus back.
 */
import {html, useEffect, useRef} from "../html.js";
import {Button} from "./button.js";

/**
 * @param {{label: string, className?: string, onClose: (event?: Event) => void}} props `onClose` may keep it open by
 *   preventing the event
 */
export function DialogFrame({label, className = "dialog", onClose, children}) {
  const element = useRef(null);
  useEffect(() => {
    const before = document.activeElement;
    element.current.showModal();
    return () => before instanceof HTMLElement && before.focus();
  }, []);
  const closeOutside = ({target, clientX, clientY}) => {
    if (target !== element.current) return;
    const {left, right, top, bottom} = element.current.getBoundingClientRect();
    const isInside = left <= clientX && clientX <= right && top <= clientY && clientY <= bottom;
    if (!isInside) onClose();
  };
  // A field for files inside of it has such an event, too.
  const cancel = (event) => event.target === element.current && onClose(event);
  return html`
    <dialog ref=${element} class=${className} aria-label=${label} onCancel=${cancel} onClick=${closeOutside}>
      ${children}
    </dialog>`;
}

/**
 * A question before something is done that cannot be undone. `children`: what else is asked.
 *
 * @param {object} props
 * @param {string} props.title
 * @param {string} props.text
 * @param {string} props.confirm the text of the button that does it
 * @param {string} props.cancel
 * @param {() => void} props.onConfirm
 * @param {() => void} props.onClose
 */
export function ConfirmDialog({title, text, confirm, cancel, onConfirm, onClose, children}) {
  const doIt = () => {
    onConfirm();
    onClose();
  };
  return html`
    <${DialogFrame} label=${title} onClose=${onClose}>
      <h2>${title}</h2><p>${text}</p>${children}
      <div class="dialog-actions">
        <${Button} onClick=${onClose}>${cancel}<//><${Button} kind="danger" onClick=${doIt}>${confirm}<//>
      </div>
    <//>`;
}
