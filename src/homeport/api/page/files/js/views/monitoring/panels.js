/**
 * The plots of the last 15 minutes, each with its numbers of this moment. What did not happen has no line.
 */
import {Plot} from "../../components/plot.js";
import {formatBytes, formatNumber} from "../../format.js";
import {html, useState} from "../../html.js";
import {languageTag, t} from "../../i18n.js";
import {latest, total} from "./series.js";

const PLOT_PX = 112;

/**
 * @param {object} props
 * @param {import("./series.js").Series} props.series
 * @param {string} props.model empty: all together, with the gateway's own numbers
 */
export function Panels({series, model}) {
  const columns = model ? series.models[model] : series.server;
  const panels = [
    speed, firstToken, tokenInterval, queue, cells, prefixes, memory, requests, ...(model ? [] : [responses]),
  ];
  return html`
    <div class="panels">
      ${panels.map((make) => {
        const panel = make(columns, !model);
        return html`<${Panel} key=${make.name} ...${panel} times=${series.times} />`;
      })}
    </div>`;
}

/** The readings are those of this moment, and while the pointer is on the plot, those below it. */
function Panel({title, note, readings, lines, times, format, empty}) {
  const [at, setAt] = useState(null);
  const isPast = at !== null && at < times.length && !empty;
  const textOf = ({text}, i) => (isPast && i < lines.length ? orDash(lines[i].values[at], format) : text);
  return html`
    <section class="panel" aria-label=${title}>
      <div class="panel-head"><h2>${title}</h2><span class="muted">${isPast ? clockOf(times[at]) : note}</span></div>
      <dl class="readings">
        ${readings.map((reading, i) => html`
          <div key=${reading.name}>
            <dt>${i < lines.length && html`<span class="plot-mark plot-color-${i}"></span>`}${reading.name}</dt>
            <dd>${textOf(reading, i)}${reading.of && html`<small>${reading.of}</small>`}</dd>
          </div>`)}
      </dl>
      ${empty ? html`<p class="panel-empty muted">${empty}</p>`
        : html`<${Plot} label=${title} series=${lines} times=${times} format=${format} height=${PLOT_PX} isBare=${true}
            onPoint=${setAt} />`}
    </section>`;
}

function speed(columns) {
  const isEmpty = !total(columns.prompt_tokens) && !total(columns.generated_tokens);
  return {
    title: t("monitoring.speed"),
    readings: [
      {name: t("monitoring.generated"), text: now(columns.generated_tokens_per_s), of: t("monitoring.per_s")},
      {name: t("monitoring.prompt"), text: now(columns.prompt_tokens_per_s), of: t("monitoring.per_s")},
    ],
    lines: [
      {name: t("monitoring.generated"), values: columns.generated_tokens_per_s},
      {name: t("monitoring.prompt"), values: columns.prompt_tokens_per_s},
    ],
    format: formatCount,
    empty: isEmpty && t("monitoring.no_request"),
  };
}

function firstToken(columns) {
  return percentiles(t("monitoring.first_token"), columns.first_token_p50_s, columns.first_token_p95_s);
}

function tokenInterval(columns) {
  return percentiles(t("monitoring.token_interval"), columns.token_interval_p50_s, columns.token_interval_p95_s);
}

function percentiles(title, median, high) {
  const entries = [{name: t("monitoring.p50"), values: median}, {name: t("monitoring.p95"), values: high}];
  return {
    title,
    readings: entries.map(({name, values}) => ({name, text: orDash(latest(values), formatDuration)})),
    lines: entries.map((entry) => ({...entry, isSparse: true})),
    format: formatDuration,
    empty: latest(median) === null && t("monitoring.no_answer"),
  };
}

function queue(columns) {
  const isEmpty = !total(columns.running) && !total(columns.waiting);
  return {
    title: t("monitoring.queue"),
    readings: [
      {name: t("monitoring.running"), text: now(columns.running)},
      {name: t("monitoring.waiting"), text: now(columns.waiting)},
    ],
    lines: [
      {name: t("monitoring.running"), values: columns.running},
      {name: t("monitoring.waiting"), values: columns.waiting},
    ],
    format: formatCount,
    empty: isEmpty && t("monitoring.no_request"),
  };
}

function cells(columns) {
  const all = columns.cells.at(-1) ?? 0;
  return {
    title: t("monitoring.cells"),
    readings: [{
      name: t("monitoring.used"), text: now(columns.cells_used),
      of: all > 0 && t("monitoring.of", {total: formatNumber(all)}),
    }],
    lines: [{name: t("monitoring.used"), values: columns.cells_used}],
    format: formatCount,
    empty: !latest(columns.cells) ? t("monitoring.no_cells")
      : !total(columns.cells_used) && t("monitoring.no_request"),
  };
}

function prefixes(columns) {
  const share = columns.prefix_hit_share;
  return {
    title: t("monitoring.prefixes"),
    readings: [{name: t("monitoring.found"), text: orDash(latest(share), formatShare)}],
    lines: [{name: t("monitoring.found"), values: share, isSparse: true}],
    format: formatShare,
    empty: latest(share) === null && t("monitoring.no_prefix"),
  };
}

function memory(columns, isServer) {
  const lines = [{name: t("monitoring.workers"), values: columns.memory_bytes}];
  if (isServer) lines.push({name: t("monitoring.gateway"), values: columns.gateway_bytes});
  if (latest(columns.device_bytes)) lines.push({name: t("monitoring.gpus"), values: columns.device_bytes});
  const readings = lines.map(({name, values}) => ({name, text: orDash(values.at(-1) ?? null, formatBytes)}));
  const machine = isServer ? latest(columns.machine_bytes) : null;
  const used = formatBytes(latest(columns.machine_used_bytes) ?? 0);
  const note = machine && t("monitoring.machine", {used, total: formatBytes(machine)});
  return {title: t("monitoring.memory"), note, readings, lines, format: formatBytes};
}

function requests(columns) {
  return counts(t("monitoring.requests"), [
    {name: t("monitoring.ok"), values: columns.requests_ok},
    {name: t("monitoring.cancelled"), values: columns.requests_cancelled},
    {name: t("monitoring.failed_requests"), values: columns.requests_failed},
  ], t("monitoring.no_request"));
}

function responses(columns) {
  const classes = ["2xx", "3xx", "4xx", "5xx"].map((name) => ({name, values: columns[`responses_${name}`]}));
  const shown = classes.filter(({name, values}) => name !== "3xx" || total(values) > 0);
  return counts(t("monitoring.responses"), shown, t("monitoring.no_response"));
}

function counts(title, lines, empty) {
  return {
    title,
    readings: lines.map(({name, values}) => ({name, text: formatNumber(total(values))})),
    lines,
    format: formatCount,
    empty: lines.every(({values}) => !total(values)) && empty,
  };
}

function clockOf(seconds) {
  return new Intl.DateTimeFormat(languageTag(), {timeStyle: "medium", hour12: false}).format(seconds * 1000);
}

function now(values) {
  return orDash(values.at(-1) ?? null, formatCount);
}


function orDash(value, format) {
  return value === null ? "–" : format(value);
}

function formatCount(value) {
  return formatNumber(value, value < 10 ? 1 : 0);
}

function formatShare(value) {
  return t("monitoring.percent", {share: formatNumber(value * 100)});
}

function formatDuration(seconds) {
  if (seconds >= 1) return t("format.seconds", {seconds: formatNumber(seconds, seconds < 10 ? 2 : 0)});
  return t("monitoring.ms", {ms: formatNumber(seconds * 1000, seconds < 0.01 ? 1 : 0)});
}
