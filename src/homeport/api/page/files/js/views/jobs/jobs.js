/**
 * The view of files and jobs: files, batches and fine-tunes, of the caller's project or of all.
 */
import {SelectField} from "../../components/field.js";
import {Tabs} from "../../components/tabs.js";
import {html, useState} from "../../html.js";
import {addWords, t} from "../../i18n.js";
import {addressOf, replaceAddress, route} from "../../router.js";
import {session} from "../../session.js";
import {useSignal} from "../../signal.js";
import {BatchesTab} from "./batches_tab.js";
import {BatchDetail} from "./batch_detail.js";
import {FilesTab} from "./files_tab.js";
import {TunesTab} from "./tunes_tab.js";
import {TuneDetail} from "./tune_detail.js";
import english from "./words/en.js";
import chinese from "./words/zh.js";

addWords({en: english, zh: chinese});

/** The view. */
export default function Jobs() {
  const {access} = useSignal(session);
  const {rest} = useSignal(route);
  const [isAll, setAll] = useState(access.admin);
  const scope = {isAll: access.admin && (isAll || !access.caller), project: access.caller?.project ?? null};
  const tabs = [
    {name: "files", title: t("jobs.files")},
    {name: "batches", title: t("jobs.batches")},
    ...(access.features.includes("fine_tuning") ? [{name: "fine-tunes", title: t("jobs.tunes")}] : []),
  ];
  const chosen = tabs.find(({name}) => name === rest[0])?.name ?? "files";
  const id = rest[1];
  const choices = [
    {value: "all", name: t("jobs.all_projects")},
    {value: "own", name: t("jobs.own_project", {project: scope.project})},
  ];
  const lists = {files: FilesTab, batches: BatchesTab, "fine-tunes": TunesTab};
  const details = {batches: BatchDetail, "fine-tunes": TuneDetail};
  const Shown = (id && details[chosen]) || lists[chosen];
  return html`
    <div class="page-body">
      <header class="jobs-head">
        <div class="page-head"><h1>${t("jobs.title")}</h1><p class="muted">${t("jobs.about")}</p></div>
        ${access.admin && access.caller && !id && html`
          <${SelectField} label=${t("jobs.projects")} isCompact=${true} value=${scope.isAll ? "all" : "own"}
            options=${choices} onChoose=${(value) => setAll(value === "all")} />`}
      </header>
      <div>
        <${Tabs} label=${t("jobs.title")} tabs=${tabs} chosen=${chosen}
          onChoose=${(name) => replaceAddress(addressOf("jobs", name))}>
          <${Shown} key=${`${chosen} ${scope.isAll} ${id}`} scope=${scope} id=${id} />
        <//>
      </div>
    </div>`;
}
