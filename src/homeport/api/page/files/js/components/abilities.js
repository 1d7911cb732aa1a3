/**
 * What a model can do, as tags.
 */
import {html} from "../html.js";
import {t} from "../i18n.js";

/** @param {{names: string[]}} props capabilities as the server names them */
export function Abilities({names}) {
  const titles = {
    chat: t("ability.chat"), completions: t("ability.completions"), edits: t("ability.edits"),
    infill: t("ability.infill"), vision: t("ability.vision"), audio_input: t("ability.audio_input"),
    transcriptions: t("ability.transcriptions"), translations: t("ability.translations"),
    embeddings: t("ability.embeddings"), image_embeddings: t("ability.image_embeddings"),
    moderations: t("ability.moderations"), speech: t("ability.speech"), images: t("ability.images"),
    image_edits: t("ability.image_edits"), image_variations: t("ability.image_variations"),
    music: t("ability.music"), shapes: t("ability.shapes"),
  };
  return html`<span class="tags">${names.map((each) => html`
    <span key=${each} class="tag">${titles[each] ?? each}</span>`)}</span>`;
}
