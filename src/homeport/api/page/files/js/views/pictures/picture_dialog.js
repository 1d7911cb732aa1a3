/**
 * A picture, large, with how it was made. Arrow keys lead to the next one.
 */
import {IconButton} from "../../components/button.js";
import {DialogFrame} from "../../components/dialog.js";
import {html} from "../../html.js";
import {t} from "../../i18n.js";
import {captionOf, factsOf, PictureActions} from "./picture_actions.js";

const STEPS = {ArrowRight: 1, ArrowLeft: -1};

/**
 * @param {object} props
 * @param {import("./generator.js").Picture[]} props.pictures
 * @param {number} props.at which of them is shown
 * @param {{edit: Function | null, vary: Function | null}} props.actions
 * @param {boolean} props.isRunning
 * @param {(index: number) => void} props.onMove
 * @param {() => void} props.onClose
 */
export function PictureDialog({pictures, at, actions, isRunning, onMove, onClose}) {
  const picture = pictures[at];
  const caption = captionOf(picture);
  const move = (step) => pictures[at + step] && onMove(at + step);
  const onKeyDown = ({key}) => key in STEPS && move(STEPS[key]);
  const closing = (action) => action && ((chosen) => {
    onClose();
    action(chosen);
  });
  const own = {edit: closing(actions.edit), vary: closing(actions.vary)};
  return html`
    <${DialogFrame} label=${caption} className="dialog picture-dialog" onClose=${onClose}>
      <div class="picture-dialog-body" onKeyDown=${onKeyDown}>
        <img src=${picture.url} alt=${caption} width=${picture.width} height=${picture.height} />
        <div class="picture-dialog-text">
          <p>${caption}</p>
          ${picture.revised && html`
            <p class="muted picture-prompt" title=${picture.prompt}>
              ${t("pictures.asked", {prompt: picture.prompt})}
            </p>`}
          <p class="muted picture-facts">${factsOf(picture)}</p>
        </div>
        <div class="picture-dialog-foot">
          <${PictureActions} picture=${picture} actions=${own} isRunning=${isRunning} />
          <span class="picture-actions">
            <${IconButton} icon="left" label=${t("pictures.previous")} disabled=${at === 0} onClick=${() => move(-1)} />
            <${IconButton} icon="right" label=${t("pictures.next")} disabled=${at === pictures.length - 1}
              onClick=${() => move(1)} />
            <${IconButton} icon="close" label=${t("shell.close")} onClick=${onClose} />
          </span>
        </div>
      </div>
    <//>`;
}
