/**
 * Buttons: with text, or with an icon that a label names.
 */
import {html} from "../html.js";
import {Icon} from "../icons.js";

/**
 * @param {object} props
 * @param {"plain" | "primary" | "danger"} [props.kind]
 * @param {string} [props.icon]
 * @param {boolean} [props.isBusy] shows that it works, and does not react meanwhile
 * @param {"button" | "submit"} [props.type]
 */
export function Button({kind = "plain", icon, isBusy = false, type = "button", children, ...rest}) {
  return html`
    <button class="button button-${kind}" type=${type} aria-busy=${isBusy} ...${rest}
      disabled=${isBusy || rest.disabled}>
      ${icon && html`<${Icon} name=${icon} />`}<span>${children}</span>
    </button>`;
}

/** @param {{icon: string, label: string, kind?: string}} props `label`: what the button does, for everybody */
export function IconButton({icon, label, kind = "quiet", ...rest}) {
  return html`
    <button class="icon-button icon-button-${kind}" type="button" aria-label=${label} title=${label} ...${rest}>
      <${Icon} name=${icon} />
    </button>`;
}
