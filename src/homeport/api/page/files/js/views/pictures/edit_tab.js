/**
 * The tab for changes: a picture of this visit or from the disk, the mask on it, and what to generate there.
 */
import {Button} from "../../components/button.js";
import {FileDrop} from "../../components/file_drop.js";
import {showToast} from "../../components/toast.js";
import {html, useEffect, useRef, useState} from "../../html.js";
import {t} from "../../i18n.js";
import {PICTURE_TYPES} from "../../picture_files.js";
import {useSignal} from "../../signal.js";
import {draft, edited, editFile, generator, settingsOf} from "./draft.js";
import {MaskEditor} from "./mask_editor.js";
import {PromptForm} from "./prompt_form.js";

/**
 * @param {object} props
 * @param {string} props.model
 * @param {boolean} props.canEdit whether the model can change a part of a picture
 * @param {((picture: object) => void) | null} props.vary makes a variation, if the model can
 * @param {unknown} props.gallery
 */
export function EditTab({model, canEdit, vary, gallery}) {
  const picture = useSignal(edited);
  const isRunning = useSignal(generator.job)?.state === "running";
  const mask = useRef(null);
  const [share, setShare] = useState(0);
  useEffect(() => {
    if (picture) document.getElementById("content").scrollTo(0, 0);
  }, [picture]);
  const refuse = () => showToast(t("pictures.unreadable"), "error");
  const read = ([file]) => (file ? editFile(file).catch(refuse) : refuse());
  const submit = async () => {
    const {blob} = picture;
    const marks = share ? await mask.current.file() : null;
    generator.edit(model, draft.get().editPrompt.trim(), settingsOf("edit"), blob, marks);
  };
  const missing = picture ? undefined : t("pictures.choose_first");
  return html`
    <div class="edit-columns">
      <div class="edit-canvas">
        ${picture && canEdit && html`
          <${MaskEditor} key=${picture.url} picture=${picture} maskRef=${mask} onChange=${setShare} />`}
        ${picture && !canEdit && html`
          <img class="edit-only" src=${picture.url} alt=${t("pictures.edited")} width=${picture.width}
            height=${picture.height} />`}
        <${FileDrop} accept=${PICTURE_TYPES} onFiles=${read}
          label=${picture ? t("pictures.choose_other") : t("pictures.choose")}
          hint=${picture ? undefined : t("pictures.choose_hint")} />
      </div>
      <div class="edit-side">
        ${canEdit && html`<${PromptForm} kind="edit" missing=${missing} onGenerate=${submit} />`}
        ${vary && picture && html`
          <${Button} icon="variation" disabled=${isRunning} onClick=${() => vary(picture)}>
            ${t("pictures.vary_edited")}
          <//>`}
      </div>
      <div class="edit-gallery">${gallery}</div>
    </div>`;
}
