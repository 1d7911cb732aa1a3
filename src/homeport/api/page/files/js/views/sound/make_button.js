/**
 * The button that has a sound made, in its place the one that stops it, and below them what went wrong.
 */
import {Button} from "../../components/button.js";
import {describeError} from "../../errors.js";
import {formatBytes} from "../../format.js";
import {html, useRef} from "../../html.js";
import {t} from "../../i18n.js";
import {useKeptFocus} from "../../media/focus.js";

/**
 * @param {object} props
 * @param {string} props.label
 * @param {boolean} props.disabled
 * @param {import("./sound_requests.js").State} props.state
 * @param {() => void} props.onStop
 */
export function MakeButton({label, disabled, state: {isWorking, received, error}, onStop}) {
  const actions = useRef(null);
  useKeptFocus(actions, ".button", isWorking);
  return html`
    <div ref=${actions} class="button-row">
      ${isWorking
        ? html`<${Button} key="stop" icon="stop" onClick=${onStop}>${t("sound.stop")}<//>
            <span class="muted" role="status">
              ${received ? t("sound.received", {size: formatBytes(received)}) : t("sound.preparing")}</span>`
        : html`<${Button} key="make" kind="primary" type="submit" icon="sound" disabled=${disabled}>${label}<//>`}
    </div>
    ${Boolean(error) && html`<p class="notice notice-error" role="alert">${describeError(error)}</p>`}`;
}
