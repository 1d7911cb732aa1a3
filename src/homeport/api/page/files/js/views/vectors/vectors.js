/**
 * The view of embeddings and moderation: compare texts and pictures, search pictures, moderate.
 */
import {EmptyState, ErrorState, Skeleton} from "../../components/states.js";
import {Tabs} from "../../components/tabs.js";
import {describeError} from "../../errors.js";
import {html} from "../../html.js";
import {addWords, t} from "../../i18n.js";
import {listModels} from "../../models.js";
import {useResource} from "../../resource.js";
import {addressOf, replaceAddress, route} from "../../router.js";
import {useSignal} from "../../signal.js";
import {Compare} from "./compare.js";
import {embedsPictures} from "./embeddings.js";
import {Moderation} from "./moderation.js";
import {Search} from "./search.js";
import english from "./words/en.js";
import chinese from "./words/zh.js";

addWords({en: english, zh: chinese});

const PULLS = {
  compare: "homeport pull multilingual-e5-small",
  search: "homeport pull homeport-glance-256",
  moderation: "homeport pull homeport-moderation",
};

/** The view. */
export default function Vectors() {
  const {value, error, reload} = useResource(listModels);
  if (error && !value) {
    return html`<${ErrorState} title=${t("shell.models_failed")} text=${describeError(error)}
      action=${t("shell.retry")} onAction=${reload} />`;
  }
  if (!value) return html`<div class="page-body"><${Skeleton} lines=${6} /></div>`;
  const tabs = tabsOf(value);
  const usable = tabs.filter(({models}) => models.length);
  const missing = tabs.filter(({models}) => !models.length);
  if (!usable.length) {
    return html`
      <${EmptyState} title=${t("vectors.no_model")} text=${t("vectors.no_model_hint")}>
        ${missing.map(({name}) => html`<code key=${name}>${PULLS[name]}</code>`)}
      <//>`;
  }
  return html`
    <div class="page-body vectors">
      <header class="page-head"><h1>${t("vectors.title")}</h1></header>
      <div><${ChosenTab} tabs=${usable} /></div>
      ${missing.length > 0 && html`
        <ul class="missing muted">
          ${missing.map(({name, title}) => html`
            <li key=${name}>${t("vectors.missing", {title})} <code>${PULLS[name]}</code></li>`)}
        </ul>`}
    </div>`;
}

/** @param {import("../../models.js").Model[]} models @returns all tabs, each with the models for it */
function tabsOf(models) {
  const that = (capability) => models.filter(({capabilities}) => capabilities.includes(capability));
  return [
    {name: "compare", title: t("vectors.tab_compare"), view: Compare, models: that("embeddings")},
    {name: "search", title: t("vectors.tab_search"), view: Search, models: models.filter(embedsPictures)},
    {name: "moderation", title: t("vectors.tab_moderation"), view: Moderation, models: that("moderations")},
  ];
}

function ChosenTab({tabs}) {
  const [asked] = useSignal(route).rest;
  const tab = tabs.find(({name}) => name === asked) ?? tabs[0];
  return html`
    <${Tabs} label=${t("vectors.tabs")} tabs=${tabs} chosen=${tab.name}
      onChoose=${(name) => replaceAddress(addressOf("vectors", name))}>
      <${tab.view} key=${tab.name} models=${tab.models} />
    <//>`;
}
