/**
 * The pictures of this visit, the newest first, and before them the one that is being generated.
 */
import {Button, IconButton} from "../../components/button.js";
import {ConfirmDialog} from "../../components/dialog.js";
import {EmptyState, Progress} from "../../components/states.js";
import {html, useEffect, useRef, useState} from "../../html.js";
import {t} from "../../i18n.js";
import {useSignal} from "../../signal.js";
import {changeDraft, generator} from "./draft.js";
import {captionOf, PictureActions} from "./picture_actions.js";
import {PictureDialog} from "./picture_dialog.js";

/**
 * @param {object} props
 * @param {{edit: ((picture: object) => void) | null, vary: ((picture: object) => void) | null}} props.actions
 *   what the model can do with a picture
 * @param {boolean} props.hasExamples whether it shows prompts to begin with while it is empty
 */
export function Gallery({actions, hasExamples}) {
  const pictures = useSignal(generator.pictures);
  const job = useSignal(generator.job);
  const [enlarged, setEnlarged] = useState(null);
  const [isAsking, setAsking] = useState(false);
  const isRunning = job?.state === "running";
  if (!pictures.length && !isRunning) return hasExamples ? html`<${Empty} />` : null;
  const at = pictures.findIndex(({id}) => id === enlarged);
  const close = () => setEnlarged(null);
  return html`
    <section class="gallery" aria-labelledby="gallery-title">
      <header class="gallery-head">
        <h2 id="gallery-title">${t("pictures.gallery")}</h2>
        ${pictures.length > 0 && html`
          <${IconButton} icon="trash" label=${t("pictures.remove_all")} onClick=${() => setAsking(true)} />`}
      </header>
      <ul class="gallery-grid">
        ${isRunning && html`<${JobTile} key="job" job=${job} />`}
        ${pictures.map((picture) => html`
          <${Tile} key=${picture.id} picture=${picture} actions=${actions} isRunning=${isRunning}
            onEnlarge=${() => setEnlarged(picture.id)} />`)}
      </ul>
      <p class="muted gallery-note">${t("pictures.kept")}</p>
      ${at >= 0 && html`
        <${PictureDialog} pictures=${pictures} at=${at} actions=${actions} isRunning=${isRunning}
          onMove=${(index) => setEnlarged(pictures[index].id)} onClose=${close} />`}
      ${isAsking && html`
        <${ConfirmDialog} title=${t("pictures.remove_all")} text=${t("pictures.remove_all_text")}
          confirm=${t("pictures.remove")} cancel=${t("shell.cancel")} onConfirm=${() => generator.clear()}
          onClose=${() => setAsking(false)} />`}
    </section>`;
}

/** @param {{picture: import("./generator.js").Picture}} props */
function Tile({picture, actions, isRunning, onEnlarge}) {
  const caption = captionOf(picture);
  return html`
    <li class="tile">
      <button type="button" class="tile-picture" aria-label=${t("pictures.enlarge", {caption})} onClick=${onEnlarge}>
        <img src=${picture.url} alt="" width=${picture.width} height=${picture.height} decoding="async" />
      </button>
      <p class="tile-caption" title=${caption}>${caption}</p>
      <${PictureActions} picture=${picture} actions=${actions} isRunning=${isRunning} />
    </li>`;
}

/** The picture that is being generated, as far as it is there. @param {{job: import("./generator.js").Job}} props */
function JobTile({job}) {
  const element = useRef(null);
  useEffect(() => element.current.scrollIntoView({block: "nearest"}), []);
  return html`
    <li ref=${element} class="tile tile-job">
      <div class="tile-picture">
        ${job.preview && html`<img src=${job.preview} alt=${t("pictures.preview")} />`}
      </div>
      <div>
        <p class="tile-caption" role="status">${describeJob(job)}</p>
        <${Progress} label=${t("pictures.progress")} value=${job.share ?? undefined} />
      </div>
      <${IconButton} icon="stop" label=${t("pictures.stop_this")} onClick=${() => generator.stop()} />
    </li>`;
}

/** Return how far the work is, as text. @param {import("./generator.js").Job} job */
function describeJob({kind, share, done, count}) {
  if (kind === "vary") return t("pictures.varying");
  if (share === null) return t("pictures.waiting");
  if (count === 1) return t("pictures.generating_one");
  return t("pictures.generating", {number: Math.min(done + 1, count), count});
}

/** Nothing yet: examples to begin with. */
function Empty() {
  const examples = [t("pictures.example_1"), t("pictures.example_2"), t("pictures.example_3")];
  return html`
    <${EmptyState} title=${t("pictures.empty")} text=${t("pictures.empty_hint")}>
      <div class="examples">
        ${examples.map((prompt) => html`
          <${Button} key=${prompt} onClick=${() => changeDraft({prompt})}>${prompt}<//>`)}
      </div>
    <//>`;
}
