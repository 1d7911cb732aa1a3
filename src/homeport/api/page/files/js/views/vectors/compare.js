/**
 * The tab that compares texts, and pictures where the model can.
 */
import {Button, IconButton} from "../../components/button.js";
import {SelectField, TextAreaField, TextField} from "../../components/field.js";
import {FileDrop} from "../../components/file_drop.js";
import {EmptyState} from "../../components/states.js";
import {showToast} from "../../components/toast.js";
import {describeError} from "../../errors.js";
import {html, useState} from "../../html.js";
import {t} from "../../i18n.js";
import {PICTURE_TYPES} from "../../picture_files.js";
import {useSignal} from "../../signal.js";
import {lastingStorage} from "../../storage.js";
import {addPictures, change, compare, comparison, linesOf, MAX_ITEMS, removePicture} from "./comparison.js";
import {embedsPictures} from "./embeddings.js";
import {HeatMap} from "./heat_map.js";

/** @param {{models: import("../../models.js").Model[]}} props `models`: those that embed */
export function Compare({models}) {
  const {text, dimensions, pictures, result, isRunning, error} = useSignal(comparison);
  const [chosen, setChosen] = useState(lastingStorage.read("compare-model"));
  const model = models.find(({id}) => id === chosen) ?? models[0];
  const withPictures = embedsPictures(model);
  const size = linesOf(text).length + (withPictures ? pictures.length : 0);
  const choose = (id) => {
    lastingStorage.write("compare-model", id);
    setChosen(id);
  };
  const start = (event) => {
    event?.preventDefault();
    if (size >= 2 && size <= MAX_ITEMS && !isRunning) compare(model.id, withPictures);
  };
  const showExample = () => {
    change({text: t("vectors.example")});
    compare(model.id, withPictures);
  };
  const read = (files) => addPictures(files).catch(() => showToast(t("vectors.unreadable"), "error"));
  return html`
    <div class="vectors-columns">
      <form class="vectors-form" onSubmit=${start}>
        <${SelectField} label=${t("vectors.model")} value=${model.id} onChoose=${choose}
          options=${models.map(({id}) => ({value: id, name: id}))} />
        <${TextAreaField} label=${t("vectors.lines")} rows="7" value=${text}
          onInput=${(event) => change({text: event.target.value})} />
        ${withPictures
          ? html`<${Pictures} pictures=${pictures} onFiles=${read} />`
          : html`<${TextField} label=${t("vectors.dimensions")} hint=${t("vectors.dimensions_hint")} type="number"
              min="1" value=${dimensions} placeholder=${t("vectors.dimensions_all")}
              onInput=${(event) => change({dimensions: event.target.value})} />`}
        <${Button} kind="primary" type="submit" isBusy=${isRunning} disabled=${size < 2 || size > MAX_ITEMS}>
          ${t("vectors.compare")}
        <//>
        ${size > MAX_ITEMS && html`<p class="field-error">${t("vectors.too_many", {count: MAX_ITEMS})}</p>`}
        ${error && html`<p class="notice notice-error" role="alert">${describeError(error)}</p>`}
      </form>
      <div class="vectors-main" aria-busy=${isRunning}>
        ${result ? html`<${HeatMap} ...${result} />`
          : html`<${EmptyState} title=${t("vectors.compare_empty")} text=${t("vectors.compare_hint")}>
              <${Button} isBusy=${isRunning} onClick=${showExample}>${t("vectors.use_example")}<//>
            <//>`}
      </div>
    </div>`;
}

/** The pictures that are compared. */
function Pictures({pictures, onFiles}) {
  return html`
    <div class="compared">
      <${FileDrop} accept=${PICTURE_TYPES} isMultiple=${true} icon="picture" label=${t("vectors.add_pictures")}
        onFiles=${onFiles} />
      ${pictures.length > 0 && html`
        <ul class="compared-list">
          ${pictures.map(({id, name, url}) => html`
            <li key=${id}>
              <img src=${url} alt="" /><span class="clipped" title=${name}>${name}</span>
              <${IconButton} icon="close" label=${t("vectors.remove", {name})} onClick=${() => removePicture(id)} />
            </li>`)}
        </ul>`}
    </div>`;
}
