/**
 * The usage view: requests and tokens by key, model, day or user over some days, as bars, table and CSV, and storage.
 */
import {Button, IconButton} from "../../components/button.js";
import {SelectField} from "../../components/field.js";
import {EmptyState, ErrorState, Skeleton} from "../../components/states.js";
import {showToast} from "../../components/toast.js";
import {requestJson} from "../../client.js";
import {saveFile} from "../../download.js";
import {describeError} from "../../errors.js";
import {formatNumber} from "../../format.js";
import {html, useMemo, useState} from "../../html.js";
import {addWords, languageTag, t} from "../../i18n.js";
import {useResource} from "../../resource.js";
import {addressOf, replaceAddress, route} from "../../router.js";
import {session} from "../../session.js";
import {useSignal} from "../../signal.js";
import {Bars} from "./bars.js";
import {daysOf, isDate, PRESETS, timesOf} from "./range.js";
import {Storage} from "./storage.js";
import {GROUPS, loadCsv, loadUsage} from "./usage_data.js";
import {tokensOf, UsageTable} from "./usage_table.js";
import english from "./words/en.js";
import chinese from "./words/zh.js";

addWords({en: english, zh: chinese});

const HOUR_S = 3600;
const MEASURES = {
  tokens: tokensOf, generated: (sum) => sum.completion_tokens, prompts: (sum) => sum.prompt_tokens,
  requests: (sum) => sum.requests,
};

/** The view. What it shows is part of its address. */
export default function Usage() {
  const {access} = useSignal(session);
  const {rest} = useSignal(route);
  const group = GROUPS.includes(rest[0]) ? rest[0] : "key";
  const span = rest[1] ?? "30d";
  const today = Math.floor(Date.now() / 86_400_000);
  const days = useMemo(() => daysOf(span, Date.now()), [span, today]);
  const query = {group, ...timesOf(days)};
  const found = useResource((signal) => loadUsage(query, signal).then((usage) => ({group, usage})),
    [group, query.start, query.end]);
  const show = (next) => replaceAddress(addressOf("usage", next.group ?? group, next.span ?? span));
  return html`
    <div class="page-body usage">
      <header class="page-head"><h1>${t("usage.title")}</h1><p class="muted">${t("usage.utc")}</p></header>
      <div class="usage-tools">
        <${Range} span=${span} days=${days} onChoose=${(next) => show({span: next})} />
        <div class="usage-actions">
          <${GroupField} group=${group} onChoose=${(next) => show({group: next})} />
          <${IconButton} icon="retry" label=${t("usage.reload")} onClick=${found.reload} />
          <${CsvButton} query=${query} days=${days} disabled=${!found.value?.usage.total} />
        </div>
      </div>
      <${Sums} found=${found} days=${days} />
      ${access.features.includes("files") && html`<${Storage} />`}
    </div>`;
}

function Range({span, days, onChoose}) {
  const names = {
    today: t("usage.today"), "7d": t("usage.week"), "30d": t("usage.thirty"), month: t("usage.month"),
  };
  const change = (side) => (event) => {
    const {from, to} = {...days, [side]: event.target.value};
    if (!isDate(from) || !isDate(to)) return;
    const [first, last] = from <= to ? [from, to] : [event.target.value, event.target.value];
    onChoose(`${first}_${last}`);
  };
  return html`
    <div class="usage-range">
      <div class="usage-presets" role="group" aria-label=${t("usage.span")}>
        ${PRESETS.map((name) => html`
          <button key=${name} type="button" class="usage-preset" aria-pressed=${span === name}
            onClick=${() => onChoose(name)}>${names[name]}</button>`)}
      </div>
      <div class="usage-dates">
        <input class="input" type="date" aria-label=${t("usage.from")} value=${days.from} onChange=${change("from")} />
        <span aria-hidden="true">–</span>
        <input class="input" type="date" aria-label=${t("usage.to")} value=${days.to} onChange=${change("to")} />
      </div>
    </div>`;
}

function GroupField({group, onChoose}) {
  const names = groupNames();
  const options = GROUPS.map((value) => ({value, name: t("usage.by", {group: names[value]})}));
  return html`
    <${SelectField} label=${t("usage.group")} isCompact=${true} options=${options} value=${group}
      onChoose=${onChoose} />`;
}

function groupNames() {
  return {
    key: t("usage.key"), model: t("usage.model"), day: t("usage.day"), user: t("usage.user"),
    project: t("usage.project"), endpoint: t("usage.endpoint"),
  };
}

function CsvButton({query, days, disabled}) {
  const [isBusy, setBusy] = useState(false);
  const save = async () => {
    setBusy(true);
    try {
      saveFile(`usage-by-${query.group}-${days.from}-${days.to}.csv`, await loadCsv(query), "text/csv");
    } catch (error) {
      showToast(describeError(error), "error");
    }
    setBusy(false);
  };
  return html`<${Button} icon="download" isBusy=${isBusy} disabled=${disabled} onClick=${save}>${t("usage.csv")}<//>`;
}

function Sums({found: {value, error, reload}, days}) {
  const describe = useNames(value?.group);
  const [measure, setMeasure] = useState("tokens");
  const isOneDay = days.from === days.to;
  if (error && !value) {
    return html`<${ErrorState} title=${t("usage.failed")} text=${describeError(error)} action=${t("shell.retry")}
      onAction=${reload} />`;
  }
  if (!value) return html`<${Skeleton} lines=${8} />`;
  const notice = error && html`
    <div class="notice notice-error usage-notice" role="alert">
      <span>${describeError(error)}</span><${Button} onClick=${reload}>${t("shell.retry")}<//>
    </div>`;
  const {group, usage: {rows, total, isCut, plot}} = value;
  if (!total) return html`${notice}<${EmptyState} title=${t("usage.empty")} text=${t("usage.empty_hint")} />`;
  const measures = {
    tokens: t("usage.all_tokens"), generated: t("usage.generated_tokens"), prompts: t("usage.prompt_tokens"),
    requests: t("usage.requests"),
  };
  const lineOf = ({name, isRest, values}) => ({
    name: isRest ? t("usage.others") : describe(name).text, values: values.map(MEASURES[measure]),
  });
  const isPlain = group === "day";
  const lines = isPlain ? kindsOf(plot.lines[0].values, measure, measures) : distinct(plot.lines.map(lineOf));
  return html`
    ${notice}
    <section class="usage-card">
      <${SelectField} label=${t("usage.measure")} isCompact=${true} value=${measure} onChoose=${setMeasure}
        options=${Object.entries(measures).map(([name, text]) => ({value: name, name: text}))} />
      <${Bars} label=${labelOf(plot.width)} lines=${lines} parts=${plot.starts.map((at) => partName(at, plot.width))}
        whole=${isOneDay ? days.from : `${days.from} – ${days.to}`} format=${formatNumber} />
    </section>
    <section>
      <${UsageTable} key=${group} title=${groupNames()[group]} rows=${rows} total=${total} describe=${describe}
        first=${isPlain ? "name" : "tokens"} />
      ${isCut && html`<p class="muted">${t("usage.cut", {count: formatNumber(rows.length)})}</p>`}
    </section>`;
}

/** Without groups, all tokens are those of prompts and those that were generated. */
function kindsOf(sums, measure, measures) {
  const names = measure === "tokens" ? ["generated", "prompts"] : [measure];
  return names.map((name) => ({name: measures[name], values: sums.map(MEASURES[name])}));
}

/** Groups with one name, such as two keys, keep their lines apart. */
function distinct(lines) {
  const counts = {};
  return lines.map((line) => {
    counts[line.name] = (counts[line.name] ?? 0) + 1;
    return counts[line.name] > 1 ? {...line, name: `${line.name} (${counts[line.name]})`} : line;
  });
}

function labelOf(width) {
  if (width === HOUR_S) return t("usage.by_hour");
  return width === 24 * HOUR_S ? t("usage.by_day") : t("usage.by_week");
}

function partName(seconds, width) {
  const time = {hour: "2-digit", minute: "2-digit", hour12: false};
  const style = width === HOUR_S ? time : {month: "short", day: "numeric"};
  return new Intl.DateTimeFormat(languageTag(), {...style, timeZone: "UTC"}).format(seconds * 1000);
}

/** @returns {(name: string) => {text: string, hint?: string}} how groups are called: keys by their names */
function useNames(group) {
  const {value: keys} = useResource(async (signal) => {
    if (group !== "key") return null;
    const {data} = await requestJson("/admin/v1/keys", {signal});
    return new Map(data.map((key) => [key.id, {text: key.name || key.id, hint: `${key.project} · ${key.hint}`}]));
  }, [group]);
  const nameless = {key: t("usage.no_key"), user: t("usage.no_user")};
  return (name) => (!name ? {text: nameless[group] ?? "–"} : (group === "key" && keys?.get(name)) || {text: name});
}
