/**
 * The installed models: their state, and loading, unloading, optimizing and deleting them.
 */
import {Button} from "../../components/button.js";
import {Chips, SearchField} from "../../components/chips.js";
import {ConfirmDialog} from "../../components/dialog.js";
import {Menu} from "../../components/menu.js";
import {EmptyState} from "../../components/states.js";
import {showToast} from "../../components/toast.js";
import {describeError} from "../../errors.js";
import {formatBytes, formatNumber} from "../../format.js";
import {html, useEffect, useRef, useState} from "../../html.js";
import {t} from "../../i18n.js";
import {Details} from "./details.js";
import {formatRate, KINDS, kindName, matches, speedOf, windowOf} from "./facts.js";
import {Fit} from "./fit.js";
import {changeModel, deleteModel} from "./library.js";
import {OptimizeDialog} from "./optimize_dialog.js";

const SOME = 6;

/**
 * @param {object} props
 * @param {import("./library.js").LibraryModel[]} props.models
 * @param {import("./library.js").Memory} props.memory
 * @param {() => void} props.onChange
 * @param {() => void} props.onJob
 * @param {() => void} props.onCatalogue
 */
export function Installed({models, memory, onChange, onJob, onCatalogue}) {
  const [filter, setFilter] = useState({text: "", kind: ""});
  const [dialog, setDialog] = useState(null);
  const actions = useActions(memory, onChange, setDialog);
  const close = () => setDialog(null);
  if (!models.length) {
    return html`
      <${EmptyState} title=${t("models.none")} text=${t("models.none_hint")}>
        <${Button} kind="primary" onClick=${onCatalogue}>${t("models.open_catalogue")}<//>
      <//>`;
  }
  const shown = models.filter((model) => (!filter.kind || model.kind === filter.kind) && matches(model, filter.text));
  const model = dialog && models.find((each) => each.id === dialog.id);
  return html`
    ${models.length >= SOME && html`<${Toolbar} models=${models} filter=${filter} onFilter=${setFilter} />`}
    ${shown.length
      ? html`<ul class="rows" aria-label=${t("models.installed")}>${shown.map((each) => html`
          <${InstalledRow} key=${each.id} model=${each} memory=${memory} actions=${actions} onShow=${setDialog} />`)}
        </ul>`
      : html`<${EmptyState} title=${t("models.nothing_found")} text=${t("models.nothing_found_hint")} />`}
    ${model && dialog.kind === "details" && html`<${Details} model=${model} memory=${memory} onClose=${close} />`}
    ${model && dialog.kind === "optimize" && html`
      <${OptimizeDialog} model=${model} onStarted=${onJob} onClose=${close} />`}
    ${model && ["delete", "force", "unload"].includes(dialog.kind) && html`
      <${Question} key=${dialog.kind} dialog=${dialog} model=${model} actions=${actions} onClose=${close} />`}`;
}

function Toolbar({models, filter, onFilter}) {
  const count = (kind) => models.filter((model) => !kind || model.kind === kind).length;
  const options = ["", ...KINDS.filter(count)].map((kind) => ({
    value: kind, name: kind ? kindName(kind) : t("models.all"), count: formatNumber(count(kind)),
  }));
  return html`
    <div class="toolbar">
      <${SearchField} label=${t("models.search")} value=${filter.text}
        onChange=${(text) => onFilter({...filter, text})} />
      <${Chips} label=${t("models.kind")} options=${options} value=${filter.kind}
        onChoose=${(kind) => onFilter({...filter, kind})} />
    </div>`;
}

/** What is done with models; `busy` has what is being done, by model. `loaded`: another object after each loading. */
function useActions(loaded, onChange, setDialog) {
  const [busy, setBusy] = useState({});
  const ended = useRef([]);
  useEffect(() => {
    const done = ended.current.splice(0);
    if (done.length) setBusy((all) => ({...all, ...Object.fromEntries(done.map((id) => [id, undefined]))}));
  }, [loaded]);
  const run = async (id, what, act) => {
    setBusy((before) => ({...before, [id]: what}));
    try {
      await act();
    } catch (error) {
      if (what === "delete" && error.status === 409 && error.code === "model_in_use") {
        setDialog({kind: "force", id, text: describeError(error)});
      } else showToast(describeError(error), "error");
    }
    ended.current.push(id); // until its new state is loaded, the old one would be shown
    onChange();
  };
  return {
    busy,
    load: (id) => run(id, "load", () => changeModel(id, "load")),
    unload: (id) => run(id, "unload", () => changeModel(id, "unload")),
    remove: (id, isForced) => run(id, "delete", async () => {
      const {freed_bytes: freed} = await deleteModel(id, isForced);
      showToast(t("models.deleted", {model: id, size: formatBytes(freed)}));
    }),
  };
}

function InstalledRow({model, memory, actions, onShow}) {
  const {id, in_use: inUse} = model;
  const speed = speedOf(model);
  const window = windowOf(model);
  const show = (kind) => onShow({kind, id});
  const notes = [
    formatBytes(model.disk_bytes || model.size_bytes || 0),
    ...(model.memory_bytes ? [t("models.needs", {memory: formatBytes(model.memory_bytes)})] : []),
    ...(window ? [t("models.window", {window})] : []),
    ...(speed ? [formatRate(speed.decode_1)] : []),
    model.licence,
  ];
  const items = [
    {name: t("models.details"), icon: "search", onChoose: () => show("details")},
    ...(model.kind === "text" && !model.parent
      ? [{name: t("models.optimize"), icon: "bars", onChoose: () => show("optimize")}] : []),
    {name: t("models.delete"), icon: "trash", onChoose: () => show("delete")},
  ];
  const unload = () => (inUse ? show("unload") : actions.unload(id));
  const doing = actions.busy[id];
  return html`
    <li class="row model" aria-label=${id}>
      <div class="model-text">
        <span class="model-title">
          <button type="button" class="link-button clip" title=${id} onClick=${() => show("details")}>${id}</button>
          <span class="tag">${kindName(model.kind)}</span><${Fit} model=${model} memory=${memory} />
        </span>
        ${model.summary && html`<span>${model.summary}</span>`}
        <span class="muted small">${notes.join(" · ")}</span>
      </div>
      <${State} model=${model} doing=${doing} />
      <div class="row-actions">
        <${Button} isBusy=${Boolean(doing)} onClick=${model.state ? unload : () => actions.load(id)}
          aria-label=${model.state ? t("models.unload_of", {model: id}) : t("models.load_of", {model: id})}>
          ${model.state ? t("models.unload") : t("models.load")}
        <//>
        <${Menu} icon="more" label=${t("models.more", {model: id})} items=${items} />
      </div>
    </li>`;
}

/** A model's state: what is done with it now, or what its worker says. */
function State({model, doing}) {
  const states = {
    ready: t("models.state_ready"), loading: t("models.state_loading"), queued: t("models.state_queued"),
    paused: t("models.state_paused"),
  };
  const tasks = {load: t("models.state_loading"), unload: t("models.state_unloading"), delete: t("models.deleting")};
  const text = tasks[doing] ?? states[model.state] ?? model.state ?? t("models.state_none");
  const level = doing ? "loading" : (model.state ?? "none");
  const requests = model.in_use ? t("models.in_use", {count: formatNumber(model.in_use)}) : "";
  return html`
    <span class="state-text"><span><span class="dot dot-${level}" aria-hidden="true"></span>${text}</span>
      ${requests && html`<span class="muted small">${requests}</span>`}</span>`;
}

/** The question before a model is deleted, deleted while it answers, or unloaded while it answers. */
function Question({dialog, model, actions, onClose}) {
  const {id} = model;
  const count = formatNumber(model.in_use);
  if (dialog.kind === "unload") {
    return html`
      <${ConfirmDialog} title=${t("models.unload_title", {model: id})} text=${t("models.unload_text", {count})}
        confirm=${t("models.unload")} cancel=${t("shell.cancel")} onConfirm=${() => actions.unload(id)}
        onClose=${onClose} />`;
  }
  if (dialog.kind === "force") {
    return html`
      <${ConfirmDialog} title=${t("models.force_title", {model: id})} text=${dialog.text}
        confirm=${t("models.force_confirm")} cancel=${t("shell.cancel")} onConfirm=${() => actions.remove(id, true)}
        onClose=${onClose} />`;
  }
  const size = formatBytes(model.disk_bytes);
  return html`
    <${ConfirmDialog} title=${t("models.delete_title", {model: id})} text=${t("models.delete_text", {size})}
      confirm=${t("models.delete")} cancel=${t("shell.cancel")} onConfirm=${() => actions.remove(id, false)}
      onClose=${onClose} />`;
}
