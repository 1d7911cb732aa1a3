/**
 * The tab for moderation: a text or a picture, and how it scores in each category.
 */
import {Button, IconButton} from "../../components/button.js";
import {SelectField, TextAreaField} from "../../components/field.js";
import {FileDrop} from "../../components/file_drop.js";
import {EmptyState} from "../../components/states.js";
import {showToast} from "../../components/toast.js";
import {requestJson} from "../../client.js";
import {describeError} from "../../errors.js";
import {html, useState} from "../../html.js";
import {t} from "../../i18n.js";
import {whenOwnerChanges} from "../../owner.js";
import {copyOfPicture, dataUrlOf, PICTURE_TYPES} from "../../picture_files.js";
import {createSignal, useSignal} from "../../signal.js";
import {Verdict} from "./verdict.js";

const SENT = {maxEdge: 1024, type: "image/jpeg"};
const FIRST = {text: "", picture: null, result: null, isRunning: false, error: null};
/** It stays while another view is shown. */
const checked = createSignal(FIRST);

whenOwnerChanges(() => checked.set(FIRST));

function change(fields) {
  checked.set({...checked.get(), ...fields});
}

async function check(model) {
  const {text, picture} = checked.get();
  const input = [
    ...(text.trim() ? [{type: "text", text: text.trim()}] : []),
    ...(picture ? [{type: "image_url", image_url: {url: picture.dataUrl}}] : []),
  ];
  change({isRunning: true, error: null});
  try {
    const {results} = await requestJson("/v1/moderations", {method: "POST", body: {model, input}});
    change({isRunning: false, result: results[0]});
  } catch (error) {
    change({isRunning: false, error});
  }
}

/** @param {{models: import("../../models.js").Model[]}} props `models`: those that moderate */
export function Moderation({models}) {
  const {text, picture, result, isRunning, error} = useSignal(checked);
  const [chosen, setChosen] = useState(models[0].id);
  const model = models.find(({id}) => id === chosen)?.id ?? models[0].id;
  const canCheck = Boolean(text.trim() || picture) && !isRunning;
  const start = (event) => {
    event.preventDefault();
    if (canCheck) check(model);
  };
  return html`
    <div class="vectors-columns">
      <form class="vectors-form" onSubmit=${start}>
        ${models.length > 1 && html`
          <${SelectField} label=${t("vectors.model")} value=${model} onChoose=${setChosen}
            options=${models.map(({id}) => ({value: id, name: id}))} />`}
        <${TextAreaField} label=${t("vectors.text")} rows="7" value=${text}
          onInput=${(event) => change({text: event.target.value})} />
        <${Picture} picture=${picture} />
        <${Button} kind="primary" type="submit" isBusy=${isRunning} disabled=${!canCheck}>${t("vectors.check")}<//>
        ${error && html`<p class="notice notice-error" role="alert">${describeError(error)}</p>`}
      </form>
      <div class="vectors-main" aria-busy=${isRunning}>
        ${result ? html`<${Verdict} result=${result} />`
          : html`<${EmptyState} title=${t("vectors.moderation_empty")} text=${t("vectors.moderation_hint")} />`}
      </div>
    </div>`;
}

/** The picture that is checked with the text. */
function Picture({picture}) {
  const read = async ([file]) => {
    try {
      const {blob} = await copyOfPicture(file, SENT);
      change({picture: {name: file.name, url: URL.createObjectURL(blob), dataUrl: await dataUrlOf(blob)}});
    } catch {
      showToast(t("vectors.unreadable"), "error");
    }
  };
  if (!picture) {
    return html`
      <${FileDrop} accept=${PICTURE_TYPES} icon="picture" label=${t("vectors.add_picture")} onFiles=${read} />`;
  }
  const {name, url} = picture;
  return html`
    <ul class="compared-list">
      <li>
        <img src=${url} alt="" /><span class="clipped" title=${name}>${name}</span>
        <${IconButton} icon="close" label=${t("vectors.remove", {name})} onClick=${() => change({picture: null})} />
      </li>
    </ul>`;
}
