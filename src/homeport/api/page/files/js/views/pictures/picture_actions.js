/**
 * What can be done with a picture: edit it, make a variation, save it, copy it.
 */
import {IconButton} from "../../components/button.js";
import {showToast} from "../../components/toast.js";
import {formatNumber, formatSeconds} from "../../format.js";
import {html} from "../../html.js";
import {t} from "../../i18n.js";
import {Icon} from "../../icons.js";
import {canCopyPictures, copyPicture} from "../../picture_files.js";

/**
 * @param {object} props
 * @param {import("./generator.js").Picture} props.picture
 * @param {{edit: Function | null, vary: Function | null}} props.actions
 * @param {boolean} props.isRunning whether something is being generated
 */
export function PictureActions({picture, actions, isRunning}) {
  const copy = async () => showToast((await copyPicture(picture.blob)) ? t("code.copied") : t("code.not_copied"));
  const download = t("pictures.download");
  return html`
    <div class="picture-actions">
      ${actions.edit && html`
        <${IconButton} icon="edit" label=${t("pictures.edit_this")} onClick=${() => actions.edit(picture)} />`}
      ${actions.vary && html`
        <${IconButton} icon="variation" label=${t("pictures.vary")} disabled=${isRunning}
          onClick=${() => actions.vary(picture)} />`}
      <a class="icon-button icon-button-quiet" href=${picture.url} download=${fileName(picture)} aria-label=${download}
        title=${download}><${Icon} name="download" /></a>
      ${canCopyPictures && html`<${IconButton} icon="copy" label=${t("pictures.copy")} onClick=${copy} />`}
    </div>`;
}

/**
 * Return what a picture shows, as far as it is known.
 *
 * @param {import("./generator.js").Picture} picture
 */
export function captionOf({kind, prompt, revised}) {
  if (kind === "vary") return t("pictures.variation_of", {prompt});
  return revised || prompt;
}

/**
 * Return how a picture was made, in short.
 *
 * @param {import("./generator.js").Picture} picture
 */
export function factsOf({model, width, height, seed, totalS}) {
  const size = `${formatNumber(width)} × ${formatNumber(height)}`;
  return [model, size, t("pictures.with_seed", {seed}), formatSeconds(totalS)].join(" · ");
}

function fileName({prompt, seed, blob}) {
  const words = prompt.replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-|-$/g, "").slice(0, 40) || "picture";
  return `${words}-${seed}.${blob.type.split("/")[1]}`;
}
