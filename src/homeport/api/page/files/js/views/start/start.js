/**
 * The start view: what to try first, what the page can do with this key, and the models that are installed.
 */
import {Abilities} from "../../components/abilities.js";
import {EmptyState, ErrorState, Skeleton} from "../../components/states.js";
import {Table} from "../../components/table.js";
import {describeError} from "../../errors.js";
import {formatBytes, formatNumber} from "../../format.js";
import {html} from "../../html.js";
import {addWords, t} from "../../i18n.js";
import {Icon} from "../../icons.js";
import {listModels} from "../../models.js";
import {useResource} from "../../resource.js";
import {addressOf} from "../../router.js";
import {session} from "../../session.js";
import {useSignal} from "../../signal.js";
import {FirstSteps} from "./first_steps.js";
import {AdminHint, ForPrograms} from "./hints.js";
import {OwnLimits} from "./own_limits.js";
import english from "./words/en.js";
import chinese from "./words/zh.js";

addWords({en: english, zh: chinese});

/** @param {{views: import("../../views.js").View[]}} props those that the key may use */
export default function Start({views: all}) {
  const {access} = useSignal(session);
  const views = all.filter((view) => view.name);
  const models = useResource((signal) => (access.caller ? listModels(signal) : Promise.resolve([])), [access]);
  return html`
    <div class="page-body start">
      <header class="page-head">
        <h1>${t("start.welcome")}</h1><p class="muted">${t("start.version", {version: access.version})}</p>
      </header>
      ${access.caller && models.value && html`<${FirstSteps} models=${models.value} isAdmin=${access.admin} />`}
      <ul class="cards" aria-label=${t("start.about")}>
        ${views.map((view) => html`
          <li key=${view.name}><a class="card" href=${addressOf(view.name)}>
            <${Icon} name=${view.icon} /><strong>${t(view.title)}</strong><span class="muted">${t(view.about)}</span>
          </a></li>`)}
      </ul>
      ${access.caller?.limits && html`<${OwnLimits} />`}
      ${access.caller && html`<section><h2>${t("start.models")}</h2><${Models} resource=${models} /></section>`}
      ${access.caller && html`<${ForPrograms} keyless=${access.keyless} />`}
      ${!access.admin && access.keyless && html`<${AdminHint} />`}
    </div>`;
}

function Models({resource}) {
  const {value: models, error, reload} = resource;
  if (error && !models) {
    return html`<${ErrorState} title=${t("shell.models_failed")} text=${describeError(error)}
      action=${t("shell.retry")} onAction=${reload} />`;
  }
  if (!models) return html`<${Skeleton} />`;
  if (!models.length) return html`<${EmptyState} title=${t("start.no_models")} />`;
  const columns = [
    {name: "id", title: t("start.name"), cell: (model) => html`<span class="name">${model.id}</span>`},
    {name: "capabilities", title: t("start.can"), cell: (model) => html`<${Abilities} names=${model.capabilities} />`},
    {name: "size", title: t("start.size"), isNumber: true, cell: (model) => formatBytes(model.size_bytes)},
    {name: "window", title: t("start.window"), isNumber: true,
      cell: (model) => (model.context_window ? formatNumber(model.context_window) : "–")},
    {name: "state", title: t("start.state"), cell: (model) => (model.loaded ? t("start.loaded") : t("start.on_disk"))},
  ];
  return html`<${Table} label=${t("start.models")} columns=${columns} rows=${models} rowKey=${(model) => model.id} />`;
}
