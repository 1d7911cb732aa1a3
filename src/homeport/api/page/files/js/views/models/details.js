/**
 * All that is known of a model.
 */
import {Abilities} from "../../components/abilities.js";
import {IconButton} from "../../components/button.js";
import {DialogFrame} from "../../components/dialog.js";
import {Table} from "../../components/table.js";
import {formatBytes, formatNumber} from "../../format.js";
import {html} from "../../html.js";
import {t} from "../../i18n.js";
import {fitOf, formatRate, kindName, speedOf, windowOf} from "./facts.js";

const MANY = 8;

/**
 * @param {object} props
 * @param {import("./library.js").LibraryModel} props.model
 * @param {import("./library.js").Memory} props.memory
 * @param {() => void} props.onClose
 */
export function Details({model, memory, onClose}) {
  const fit = fitOf(model, memory);
  const speed = speedOf(model);
  const canMeasure = model.installed && model.kind === "text";
  const facts = [
    [t("models.kind"), kindName(model.kind)],
    [t("models.abilities"), model.capabilities.length && html`<${Abilities} names=${model.capabilities} />`],
    [t("models.license"), model.licence],
    [t("models.on_disk"), model.installed && formatBytes(model.disk_bytes)],
    [t("models.size"), !model.installed && model.size_bytes && formatBytes(model.size_bytes)],
    [t("models.memory_needed"), model.memory_bytes && `${formatBytes(model.memory_bytes)} · ${fit.text}`],
    [t("models.window_title"), windowOf(model)],
    [t("models.speed"), speed ? formatRate(speed.decode_1) : canMeasure && t("models.not_measured")],
    [t("models.layout"), model.layout],
    [t("models.projector"), model.projector],
    [t("models.source"), model.source],
    [t("models.revision"), model.revision],
    [t("models.parent"), model.parent],
    [t("models.project"), model.project],
    [t("models.tab_aliases"), aliasesOf(model)],
  ].filter(([, value]) => value);
  return html`
    <${DialogFrame} label=${model.id} className="dialog dialog-wide" onClose=${onClose}>
      <div class="dialog-head">
        <h2 class="clip" title=${model.id}>${model.id}</h2>
        <${IconButton} icon="close" label=${t("shell.close")} onClick=${onClose} />
      </div>
      ${model.summary && html`<p class="muted">${model.summary}</p>`}
      <dl class="facts">${facts.map(([name, value]) => html`
        <div key=${name}><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>
      ${model.layouts.length > 0 && html`<${Layouts} model=${model} />`}
    <//>`;
}

/** The first aliases, and how many others there are. */
function aliasesOf({aliases}) {
  const shown = aliases.slice(0, MANY).join(", ");
  return aliases.length > MANY ? t("models.and_more", {shown, count: formatNumber(aliases.length - MANY)}) : shown;
}

/** The measured layouts, the original first. */
function Layouts({model}) {
  const {original_speed: speed} = model.layouts[0];
  const original = {layout: "original", speed, gain: 1, size_bytes: null};
  const rows = model.layouts.some((each) => each.layout === "original") ? model.layouts : [original, ...model.layouts];
  const columns = [
    {name: "layout", title: t("models.layout"), cell: (each) => html`
      ${each.layout}${each.layout === model.layout && html` <span class="tag">${t("models.active")}</span>`}`},
    {name: "size", title: t("models.size"), isNumber: true,
      cell: (each) => (each.size_bytes ? formatBytes(each.size_bytes) : "–")},
    {name: "decode", title: t("models.decode"), isNumber: true, cell: (each) => formatNumber(each.speed.decode_1, 1)},
    {name: "many", title: t("models.decode_many"), isNumber: true,
      cell: (each) => formatNumber(each.speed.decode_16, 1)},
    {name: "prefill", title: t("models.prefill"), isNumber: true, cell: (each) => formatNumber(each.speed.prefill, 0)},
    {name: "gain", title: t("models.gain"), isNumber: true, cell: (each) => `${formatNumber(each.gain, 2)}×`},
  ];
  return html`
    <h3>${t("models.measured")}</h3>
    <${Table} label=${t("models.measured")} columns=${columns} rows=${rows} rowKey=${(each) => each.layout} />`;
}
