/**
 * The view `models`: what is installed, what can be pulled, and the names that stand for models.
 */
import {ErrorState, Progress, Skeleton} from "../../components/states.js";
import {Tabs} from "../../components/tabs.js";
import {showToast} from "../../components/toast.js";
import {describeError} from "../../errors.js";
import {formatBytes, formatNumber} from "../../format.js";
import {html} from "../../html.js";
import {addWords, t} from "../../i18n.js";
import {addressOf, replaceAddress, route} from "../../router.js";
import {useSignal} from "../../signal.js";
import {Aliases} from "./aliases.js";
import {Catalogue} from "./catalogue.js";
import {Installed} from "./installed.js";
import {Jobs} from "./jobs.js";
import {useJobs, useLibrary} from "./library.js";
import english from "./words/en.js";
import chinese from "./words/zh.js";

addWords({en: english, zh: chinese});

/** The view. */
export default function Models() {
  const {value: library, error, reload} = useLibrary();
  const {jobs, reload: reloadJobs} = useJobs((job) => {
    reload();
    tell(job);
  });
  const body = () => {
    if (!library && error) {
      return html`<${ErrorState} title=${t("models.failed")} text=${describeError(error)}
        action=${t("shell.retry")} onAction=${reload} />`;
    }
    if (!library) return html`<${Skeleton} lines=${6} />`;
    return html`<${Library} library=${library} jobs=${jobs} onChange=${reload} onJob=${reloadJobs} />`;
  };
  return html`
    <div class="page-body models">
      <header class="page-head models-head">
        <h1>${t("models.title")}</h1>${library && html`<${MemoryNote} memory=${library.memory} />`}
      </header>
      <${Jobs} jobs=${jobs} onChange=${reloadJobs} />
      ${body()}
    </div>`;
}

function tell(job) {
  const model = job.model ?? job.reference;
  if (job.status === "failed") showToast(t("models.job_failed", {model}), "error");
  else if (job.object === "model.pull") showToast(t("models.pulled", {model}));
  else showToast(t("models.optimized", {model}));
}

function MemoryNote({memory}) {
  const {available_bytes: available, total_bytes: total} = memory;
  const text = t("models.memory", {available: formatBytes(available), total: formatBytes(total)});
  return html`
    <div class="memory"><span class="muted">${text}</span>
      <${Progress} label=${t("models.memory_used")} value=${1 - available / total} />
    </div>`;
}

function Library({library, jobs, onChange, onJob}) {
  const {rest} = useSignal(route);
  const installed = library.data.filter((model) => model.installed);
  const others = library.data.filter((model) => !model.installed);
  const tabs = [
    {name: "installed", title: t("models.tab_installed", {count: formatNumber(installed.length)})},
    {name: "catalogue", title: t("models.tab_catalogue", {count: formatNumber(others.length)})},
    {name: "aliases", title: t("models.tab_aliases")},
  ];
  const chosen = tabs.find((tab) => tab.name === rest[0])?.name ?? "installed";
  const choose = (name) => replaceAddress(addressOf("models", name));
  const {memory} = library;
  return html`
    <section>
      <${Tabs} label=${t("models.title")} tabs=${tabs} chosen=${chosen} onChoose=${choose}>
        ${chosen === "installed" && html`
          <${Installed} models=${installed} memory=${memory} onChange=${onChange} onJob=${onJob}
            onCatalogue=${() => choose("catalogue")} />`}
        ${chosen === "catalogue" && html`
          <${Catalogue} models=${others} memory=${memory} jobs=${jobs} onJob=${onJob} />`}
        ${chosen === "aliases" && html`<${Aliases} models=${installed} onChange=${onChange} />`}
      <//>
    </section>`;
}
