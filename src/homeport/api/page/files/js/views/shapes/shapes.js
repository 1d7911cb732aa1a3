/**
 * The shapes view: words or a picture become a shape that can be turned and saved.
 */
import {Button} from "../../components/button.js";
import {SelectField, TextField} from "../../components/field.js";
import {FileDrop} from "../../components/file_drop.js";
import {EmptyState, ErrorState, Progress, Skeleton} from "../../components/states.js";
import {showToast} from "../../components/toast.js";
import {describeError} from "../../errors.js";
import {html, useRef, useState} from "../../html.js";
import {addWords, t} from "../../i18n.js";
import {useKeptFocus} from "../../media/focus.js";
import {listModels} from "../../models.js";
import {whenOwnerChanges} from "../../owner.js";
import {PICTURE_TYPES} from "../../picture_files.js";
import {useResource} from "../../resource.js";
import {useSignal} from "../../signal.js";
import {ShapeList} from "./shape_list.js";
import {ShapeRequests} from "./shape_requests.js";
import english from "./words/en.js";
import chinese from "./words/zh.js";

addWords({en: english, zh: chinese});

/** They stay while another view is shown. */
const requests = new ShapeRequests();
const EMPTY = {prompt: "", picture: null, seed: ""};
let draft = EMPTY;
whenOwnerChanges(() => {
  draft = EMPTY;
});

const PULL = "homeport pull triposr";

/** The view. */
export default function Shapes() {
  const {value, error, reload} = useResource(listModels);
  if (error && !value) {
    return html`<${ErrorState} title=${t("shell.models_failed")} text=${describeError(error)}
      action=${t("shell.retry")} onAction=${reload} />`;
  }
  if (!value) return html`<div class="page-body"><${Skeleton} lines=${6} /></div>`;
  const models = value.filter(({capabilities}) => capabilities.includes("shapes"));
  if (!models.length) {
    return html`
      <${EmptyState} title=${t("shapes.no_model")} text=${t("shapes.no_model_hint")}><code>${PULL}</code><//>`;
  }
  const canPaint = value.some(({capabilities}) => capabilities.includes("images"));
  return html`
    <div class="page-body">
      <header class="page-head"><h1>${t("shapes.title")}</h1><p class="muted">${t("shapes.about")}</p></header>
      <${Desk} models=${models} canPaint=${canPaint} />
    </div>`;
}

/** @param {{models: import("../../models.js").Model[], canPaint: boolean}} props `canPaint`: whether words will do */
function Desk({models, canPaint}) {
  const [fields, setFields] = useState(draft);
  const [chosen, setChosen] = useState(null);
  const {isWorking, share, error, shapes} = useSignal(requests.state);
  const actions = useRef(null);
  useKeptFocus(actions, ".button", isWorking);
  const model = models.find(({id}) => id === chosen) ?? models[0];
  const {prompt, picture, seed} = fields;
  const change = (changed) => {
    draft = {...draft, ...changed};
    setFields(draft);
  };
  const isReady = Boolean(picture || (canPaint && prompt.trim()));
  const generate = (event) => {
    event.preventDefault();
    const wanted = {model: model.id, prompt: prompt.trim(), picture, seed: seed ? Number(seed) : null};
    if (isReady) requests.generate(wanted);
  };
  const take = ([file]) => (file ? change({picture: file}) : showToast(t("shapes.unreadable"), "error"));
  return html`
    <form class="shape-form" onSubmit=${generate}>
      <${FileDrop} accept=${PICTURE_TYPES} onFiles=${take} icon="picture"
        label=${picture ? t("shapes.choose_other") : t("shapes.choose")}
        hint=${picture?.name ?? t("shapes.choose_hint")} />
      ${picture
        ? html`<div>
            <${Button} icon="close" onClick=${() => change({picture: null})}>${t("shapes.no_picture")}<//>
          </div>`
        : canPaint && html`
          <${TextField} label=${t("shapes.prompt")} hint=${t("shapes.prompt_hint")} value=${prompt}
            onInput=${(event) => change({prompt: event.target.value})} />`}
      <div class="form-grid">
        ${models.length > 1 && html`
          <${SelectField} label=${t("shapes.model")} value=${model.id} onChoose=${setChosen}
            options=${models.map(({id}) => ({value: id, name: id}))} />`}
        ${!picture && html`
          <${TextField} label=${t("shapes.seed")} inputmode="numeric" pattern="[0-9]{1,9}" value=${seed}
            onInput=${(event) => change({seed: event.target.value})} />`}
      </div>
      <div ref=${actions} class="button-row">
        ${isWorking
          ? html`<${Button} key="stop" icon="stop" onClick=${() => requests.stop()}>${t("shapes.stop")}<//>
              <${Progress} label=${t("shapes.progress")} value=${share ?? undefined} />`
          : html`<${Button} key="make" kind="primary" type="submit" icon="prism" disabled=${!isReady}>
              ${t("shapes.run")}<//>`}
      </div>
      ${Boolean(error) && html`<p class="notice notice-error" role="alert">${describeError(error)}</p>`}
    </form>
    <${ShapeList} shapes=${shapes} onRemove=${(id) => requests.remove(id)} />`;
}
