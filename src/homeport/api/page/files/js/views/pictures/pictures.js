/**
 * The pictures view: a form to generate or edit pictures, and all pictures of this visit.
 */
import {SelectField} from "../../components/field.js";
import {EmptyState, ErrorState, Skeleton} from "../../components/states.js";
import {Tabs} from "../../components/tabs.js";
import {describeError} from "../../errors.js";
import {html, useState} from "../../html.js";
import {addWords, t} from "../../i18n.js";
import {listModels} from "../../models.js";
import {useResource} from "../../resource.js";
import {addressOf, replaceAddress, route} from "../../router.js";
import {useSignal} from "../../signal.js";
import {lastingStorage} from "../../storage.js";
import {draft, editPicture, generator, settingsOf} from "./draft.js";
import {EditTab} from "./edit_tab.js";
import {Gallery} from "./gallery.js";
import {PromptForm} from "./prompt_form.js";
import english from "./words/en.js";
import chinese from "./words/zh.js";

addWords({en: english, zh: chinese});

const PULL = "homeport pull homeport-emoji-128";

/** The view. */
export default function Pictures() {
  const {value, error, reload} = useResource(listModels);
  const [chosen, setChosen] = useState(lastingStorage.read("pictures-model"));
  if (error && !value) {
    return html`<${ErrorState} title=${t("shell.models_failed")} text=${describeError(error)}
      action=${t("shell.retry")} onAction=${reload} />`;
  }
  if (!value) return html`<div class="page-body"><${Skeleton} lines=${6} /></div>`;
  const models = value.filter(({capabilities}) => capabilities.includes("images"));
  if (!models.length) {
    return html`
      <${EmptyState} title=${t("pictures.no_model")} text=${t("pictures.no_model_hint")}><code>${PULL}</code><//>`;
  }
  const model = models.find(({id}) => id === chosen) ?? models.find(({loaded}) => loaded) ?? models[0];
  const choose = (id) => {
    lastingStorage.write("pictures-model", id);
    setChosen(id);
  };
  return html`
    <div class="page-body pictures">
      <header class="pictures-head">
        <h1>${t("pictures.title")}</h1>
        <${SelectField} label=${t("pictures.model")} isCompact=${true} value=${model.id} onChoose=${choose}
          options=${models.map(({id}) => ({value: id, name: id}))} />
      </header>
      <${Desk} model=${model} />
    </div>`;
}

/** What is asked for, in tabs by what the model can do, and the gallery. */
function Desk({model}) {
  const [asked] = useSignal(route).rest;
  const can = (capability) => model.capabilities.includes(capability);
  const canEdit = can("image_edits");
  const vary = can("image_variations") ? ({blob, prompt}) => generator.vary(model.id, blob, prompt) : null;
  const tabs = [
    {name: "generate", title: t("pictures.generate")},
    ...(canEdit || vary ? [{name: "edit", title: canEdit ? t("pictures.edit") : t("pictures.variations")}] : []),
  ];
  const chosen = tabs.find(({name}) => name === asked)?.name ?? "generate";
  const go = (name) => replaceAddress(addressOf("pictures", name));
  const edit = (picture) => {
    editPicture(picture);
    go("edit");
  };
  const actions = {edit: canEdit ? edit : null, vary};
  const gallery = html`<${Gallery} hasExamples=${chosen === "generate"} actions=${actions} />`;
  return html`
    <div>
      <${Tabs} label=${t("pictures.tabs")} tabs=${tabs} chosen=${chosen} onChoose=${go}>
        ${chosen === "edit"
          ? html`<${EditTab} model=${model.id} canEdit=${canEdit} vary=${vary} gallery=${gallery} />`
          : html`<div class="pictures-columns">
              <${PromptForm} kind="generate"
                onGenerate=${() => generator.generate(model.id, draft.get().prompt.trim(), settingsOf("generate"))} />
              <div class="pictures-main">${gallery}</div>
            </div>`}
      <//>
    </div>`;
}
