/**
 * The tab that searches pictures from the disk, by words or by a picture.
 */
import {Button, IconButton} from "../../components/button.js";
import {SelectField, TextField} from "../../components/field.js";
import {FileButton, FileDrop} from "../../components/file_drop.js";
import {EmptyState, Progress} from "../../components/states.js";
import {showToast} from "../../components/toast.js";
import {describeError} from "../../errors.js";
import {formatNumber} from "../../format.js";
import {html, useState} from "../../html.js";
import {t} from "../../i18n.js";
import {whenOwnerChanges} from "../../owner.js";
import {dataUrlOf, PICTURE_TYPES} from "../../picture_files.js";
import {createSignal, useSignal} from "../../signal.js";
import {embed, pictureInput, smallCopyOf} from "./embeddings.js";
import {PictureIndex} from "./picture_index.js";
import {Results} from "./results.js";

/** @typedef {{label: string, url: string | null, vector: number[]}} Query `url`: of the picture that is searched by */

/** They stay while another view is shown. */
const index = new PictureIndex();
/** @type {import("../../signal.js").Signal<Query | null>} */
const query = createSignal(null);

whenOwnerChanges(() => {
  index.clear();
  query.set(null);
});

/** @param {{models: import("../../models.js").Model[]}} props `models`: those that embed pictures */
export function Search({models}) {
  const {total} = useSignal(index.state);
  const asked = useSignal(query);
  const [chosen, setChosen] = useState(models[0].id);
  const model = models.find(({id}) => id === chosen)?.id ?? models[0].id;
  const choose = (id) => {
    setChosen(id);
    query.set(null);
    if (total) index.run(id);
  };
  const add = (files) => (files.length ? index.add(files, model) : showToast(t("vectors.no_pictures"), "error"));
  return html`
    <div class="search">
      <div class="search-sources">
        ${models.length > 1 && html`
          <${SelectField} label=${t("vectors.model")} value=${model} onChoose=${choose}
            options=${models.map(({id}) => ({value: id, name: id}))} />`}
        <${FileDrop} accept=${PICTURE_TYPES} isMultiple=${true} icon="picture" label=${t("vectors.choose_pictures")}
          folderLabel=${t("vectors.choose_folder")} hint=${t("vectors.or_drop")} onFiles=${add} />
      </div>
      ${total ? html`<${Work} model=${model} /><${Ask} model=${model} /><${Results} index=${index} query=${asked}
            onSimilar=${(entry) => query.set({label: entry.name, url: entry.url, vector: entry.vector})} />`
        : html`<${EmptyState} title=${t("vectors.search_empty")} text=${t("vectors.search_hint")} />`}
    </div>`;
}

/** How many pictures are there, and how far the work is. */
function Work({model}) {
  const {total, done, unreadable, state, error} = useSignal(index.state);
  const clear = () => {
    index.clear();
    query.set(null);
  };
  const counts = {done: formatNumber(done), total: formatNumber(total)};
  return html`
    <div class="search-work">
      <div class="search-line">
        <span role="status">
          ${state === "idle" ? t("vectors.indexed", counts) : t("vectors.indexing", counts)}
        </span>
        ${state === "running" && html`
          <${Button} icon="stop" onClick=${() => index.stop()}>${t("vectors.stop")}<//>`}
        ${(state === "stopped" || state === "failed") && html`
          <${Button} icon="play" onClick=${() => index.run(model)}>${t("vectors.continue")}<//>`}
        <${IconButton} icon="trash" label=${t("vectors.forget")} onClick=${clear} />
      </div>
      ${state !== "idle" && html`<${Progress} label=${t("vectors.progress")} value=${done / total} />`}
      ${error && html`<p class="notice notice-error" role="alert">${describeError(error)}</p>`}
      ${unreadable.length > 0 && html`
        <details class="muted"><summary>${t("vectors.unread", {count: unreadable.length})}</summary>
          <ul>${unreadable.map((name) => html`<li key=${name} class="clipped" title=${name}>${name}</li>`)}</ul>
        </details>`}
    </div>`;
}

/** The words to search by, or the picture that is searched by. */
function Ask({model}) {
  const asked = useSignal(query);
  const [text, setText] = useState(asked?.url ? "" : (asked?.label ?? ""));
  const [state, setState] = useState({isRunning: false, error: null});
  const search = async (input, label, url) => {
    setState({isRunning: true, error: null});
    try {
      const [vector] = await embed(model, [input]);
      query.set({label, url, vector});
      setState({isRunning: false, error: null});
    } catch (error) {
      setState({isRunning: false, error});
    }
  };
  const searchWords = (event) => {
    event.preventDefault();
    const label = text.trim();
    if (label) search(label, label, null);
    else query.set(null);
  };
  const searchPicture = async ([file]) => {
    try {
      const blob = await smallCopyOf(file);
      await search(pictureInput(await dataUrlOf(blob)), file.name, URL.createObjectURL(blob));
    } catch {
      showToast(t("vectors.unreadable"), "error");
    }
  };
  const clear = () => {
    setText("");
    query.set(null);
  };
  return html`
    <form class="search-ask" role="search" onSubmit=${searchWords}>
      <${TextField} label=${t("vectors.words")} type="search" value=${text} placeholder=${t("vectors.words_example")}
        onInput=${(event) => setText(event.target.value)} />
      <${Button} kind="primary" type="submit" icon="search" isBusy=${state.isRunning}>${t("vectors.search")}<//>
      <${FileButton} icon="picture" label=${t("vectors.by_picture")} accept=${PICTURE_TYPES}
        onFiles=${searchPicture} />
      ${asked?.url && html`
        <span class="search-picture">
          <img src=${asked.url} alt="" />
          <span class="clipped" title=${asked.label}>${t("vectors.similar_to", {name: asked.label})}</span>
          <${IconButton} icon="close" label=${t("vectors.clear_query")} onClick=${clear} />
        </span>`}
    </form>
    ${state.error && html`<p class="notice notice-error" role="alert">${describeError(state.error)}</p>`}`;
}
