/**
 * Curves over time, or over numbers such as steps. Below them is a legend with the values under the pointer, and for
 * screen readers a table of the latest, lowest and highest values.
 */
import {formatNumber} from "../format.js";
import {html, useEffect, useLayoutEffect, useMemo, useRef, useState} from "../html.js";
import {languageTag, t} from "../i18n.js";
import {useSignal} from "../signal.js";
import {theme} from "../theme.js";
import uPlot from "../../vendor/uplot.js";

const HEIGHT_PX = 180;
const COLORS = ["--accent", "--code-title", "--code-number", "--code-keyword", "--code-string", "--muted"];
const DAY_S = 86400;
const WHOLE_STEPS = Array.from({length: 7}, (_, power) => [1, 2, 5].map((step) => step * 10 ** power)).flat();
const darkness = matchMedia("(prefers-color-scheme: dark)");

/**
 * @typedef {object} Series
 * @property {string} name
 * @property {(number | null)[]} values one for each of `times`; null is a gap
 * @property {boolean} [isSparse] a line goes over gaps, and few values are dots as well
 */

/**
 * @param {object} props
 * @param {string} props.label what the plot shows
 * @param {Series[]} props.series at most six
 * @param {number[]} props.times ascending: seconds since 1970, or numbers if `isTime` is false
 * @param {string} [props.unit] follows every value
 * @param {number} [props.height] in pixels
 * @param {boolean} [props.isTime]
 * @param {(value: number) => string} [props.format] a value as text, in place of a number with `unit`
 * @param {boolean} [props.isBare] without the label and the legend, for those who show them around it
 * @param {(at: number | null) => void} [props.onPoint] receives the index under the pointer
 */
export function Plot({label, series, times, unit = "", height = HEIGHT_PX, isTime = true, format, isBare, onPoint}) {
  const [shown, show] = useState(null);
  const setShown = (index) => {
    show(index);
    onPoint?.(index);
  };
  const frame = useRef(null);
  const asText = format ?? ((value) => withUnit(value, unit));
  usePlot(frame, {series, times, height, isTime, asText, onPoint: setShown});
  const at = shown !== null && shown < times.length ? shown : times.length - 1;
  return html`
    <figure class="plot">
      ${!isBare && html`
        <figcaption class="plot-head">
          <span class="plot-label">${label}</span>
          ${shown !== null && times.length > 0 && html`
            <span class="muted">${isTime ? clock(times[at], 0) : formatNumber(times[at])}</span>`}
        </figcaption>`}
      <div ref=${frame} class="plot-frame" aria-hidden="true">
        ${!times.length && html`<p class="plot-empty muted">${t("plot.empty")}</p>`}
      </div>
      ${!isBare && html`
        <ul class="plot-legend" aria-hidden="true">
          ${series.map(({name, values}, i) => html`
            <li key=${name}><span class="plot-mark plot-color-${i}"></span>${name}
              <strong>${values[at] == null ? "–" : asText(values[at])}</strong></li>`)}
        </ul>`}
      <${PlotTable} label=${label} series=${series} asText=${asText} />
    </figure>`;
}

/** The plot in words. */
function PlotTable({label, series, asText}) {
  const cells = (values) => {
    const known = values.filter((value) => value != null);
    if (!known.length) return ["–", "–", "–"];
    const [low, high] = known.reduce(([a, b], each) => [Math.min(a, each), Math.max(b, each)], [Infinity, -Infinity]);
    return [known.at(-1), low, high].map(asText);
  };
  return html`
    <div class="only-read"><table>
      <caption>${label}</caption>
      <thead><tr><td></td><th scope="col">${t("plot.latest")}</th><th scope="col">${t("plot.lowest")}</th>
        <th scope="col">${t("plot.highest")}</th></tr></thead>
      <tbody>${series.map(({name, values}) => html`
        <tr key=${name}><th scope="row">${name}</th>${cells(values).map((cell) => html`<td>${cell}</td>`)}</tr>`)}
      </tbody>
    </table></div>`;
}

/** Keep a plot in an element: made anew for another theme or other series, and otherwise given its data. */
function usePlot(frame, {series, times, height, isTime, asText, onPoint}) {
  const chosen = useSignal(theme);
  const isDark = useMedia(darkness);
  const plot = useRef(null);
  const names = series.map(({name}) => name).join("\n");
  const data = useMemo(() => [times, ...series.map(({values}) => values)], [times, series]);
  const text = useRef(asText);
  text.current = asText;
  const isEmpty = !times.length;
  const tag = languageTag();
  useLayoutEffect(() => {
    if (isEmpty) return undefined;
    const element = frame.current;
    const options = plotOptions(series, {isTime, text, onPoint});
    plot.current = new uPlot({...options, width: element.clientWidth, height}, data, element);
    const observer = new ResizeObserver(() => plot.current?.setSize({width: element.clientWidth, height}));
    observer.observe(element);
    return () => {
      observer.disconnect();
      plot.current.destroy();
      plot.current = null;
    };
  }, [names, chosen, isDark, height, isTime, isEmpty, tag]);
  useEffect(() => plot.current?.setData(data), [data]);
}

function plotOptions(series, {isTime, text, onPoint}) {
  const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const font = `12px ${getComputedStyle(document.body).fontFamily}`;
  const axis = {
    font, stroke: color("--muted"), grid: {stroke: color("--line"), width: 1}, ticks: {show: false}, gap: 6,
  };
  const moments = (_, splits) => splits.map((split) => clock(split, splits.at(-1) - splits[0]));
  const numbers = (_, splits) => splits.map((split) => formatNumber(split));
  const measures = (_, splits) => splits.map((split) => (split == null ? "" : text.current(split)));
  return {
    legend: {show: false},
    padding: [8, 18, 0, 0],
    cursor: {y: false, drag: {x: false, y: false}, points: {size: 7}},
    scales: {x: {time: isTime}, y: {range: (_, low, high) => [Math.min(0, low ?? 0), top(low, high)]}},
    axes: [
      {...axis, size: 28, space: 70, values: isTime ? moments : numbers, ...(isTime ? {} : {incrs: WHOLE_STEPS})},
      {...axis, size: axisWidth(font), space: 34, values: measures},
    ],
    series: [{}, ...series.map(({name, isSparse = false}, i) => ({
      label: name, stroke: color(COLORS[i % COLORS.length]), width: 2, spanGaps: isSparse,
      points: {show: isSparse ? areFew : pointsShown},
    }))],
    hooks: {setCursor: [(made) => onPoint(made.cursor.idx ?? null)]},
  };
}

/** A few points are dots as well: one alone has no line. */
function pointsShown(made, i, from, to) {
  return to - from < 12;
}

/** The same for values between gaps. */
function areFew(made, i) {
  return made.data[i].filter((value) => value != null).length < 40;
}

/** Leave room above the curves; a plot of nothing but zeros has a height, too. */
function top(low, high) {
  return high > 0 ? high * 1.08 : 1;
}

/** Return the width of the axis of values: that of the longest value, which is measured in the font. */
function axisWidth(font) {
  const context = document.createElement("canvas").getContext("2d");
  return (_, values) => {
    context.font = font;
    return Math.ceil(Math.max(0, ...(values ?? []).map((value) => context.measureText(value).width))) + 14;
  };
}

function clock(seconds, span) {
  const style = span > DAY_S ? {month: "short", day: "numeric"} : {hour: "2-digit", minute: "2-digit", hour12: false};
  const isFine = span < 300 ? {second: "2-digit"} : {};
  return new Intl.DateTimeFormat(languageTag(), {...style, ...(span > DAY_S ? {} : isFine)}).format(seconds * 1000);
}

function withUnit(value, unit) {
  const size = Math.abs(value);
  const text = formatNumber(value, size >= 100 || Number.isInteger(value) ? 0 : size >= 10 ? 1 : size >= 0.1 ? 2 : 4);
  return unit ? `${text} ${unit}` : text;
}

function useMedia(query) {
  const [matches, setMatches] = useState(query.matches);
  useEffect(() => {
    const change = () => setMatches(query.matches);
    query.addEventListener("change", change);
    return () => query.removeEventListener("change", change);
  }, [query]);
  return matches;
}
