/**
 * Stacked bars over days, hours or weeks. The legend has the numbers of the bar under the pointer, or of all together;
 * screen readers get a table.
 */
import {html, useLayoutEffect, useRef, useState} from "../../html.js";

const HEIGHT = 200;
const FOOT = 24;
const HEAD = 8;
const LABEL_PX = 72;
/** Half the width of a label, which must not leave the drawing. */
const EDGE = 28;
const MAX_BAR = 48;
const LINES = [0, 0.5, 1];

/**
 * @param {object} props
 * @param {string} props.label
 * @param {{name: string, values: number[]}[]} props.lines at most six
 * @param {string[]} props.parts the name of each bar
 * @param {string} props.whole the name of all together
 * @param {(value: number) => string} props.format
 */
export function Bars({label, lines, parts, whole, format}) {
  const frame = useRef(null);
  const [width, setWidth] = useState(0);
  const [at, setAt] = useState(null);
  useLayoutEffect(() => {
    const measure = () => setWidth(frame.current.clientWidth);
    const observer = new ResizeObserver(measure);
    observer.observe(frame.current);
    measure();
    return () => observer.disconnect();
  }, []);
  const shown = at !== null && at < parts.length ? at : null;
  const numberOf = ({values}) => (shown === null ? values.reduce((sum, value) => sum + value, 0) : values[shown]);
  return html`
    <figure class="plot usage-plot">
      <figcaption class="plot-head">
        <span class="plot-label">${label}</span>
        <span class="muted">${shown === null ? whole : parts[shown]}</span>
      </figcaption>
      <div ref=${frame} class="plot-frame" aria-hidden="true">
        ${width > 0 && html`<${Drawing} width=${width} lines=${lines} parts=${parts} shown=${shown} format=${format}
          onPoint=${setAt} />`}
      </div>
      <ul class="plot-legend" aria-hidden="true">
        ${lines.map((line, i) => html`
          <li key=${line.name}><span class="plot-mark usage-mark plot-color-${i}"></span>
            <span class="usage-legend-name" title=${line.name}>${line.name}</span>
            <strong>${format(numberOf(line))}</strong></li>`)}
      </ul>
      <div class="only-read"><table>
        <caption>${label}</caption>
        <thead><tr><td></td>${lines.map(({name}) => html`<th key=${name} scope="col">${name}</th>`)}</tr></thead>
        <tbody>${parts.map((part, i) => html`
          <tr key=${part}><th scope="row">${part}</th>
            ${lines.map(({name, values}) => html`<td key=${name}>${format(values[i])}</td>`)}</tr>`)}
        </tbody>
      </table></div>
    </figure>`;
}

function Drawing({width, lines, parts, shown, format, onPoint}) {
  const sums = parts.map((_, i) => lines.reduce((sum, {values}) => sum + values[i], 0));
  const top = niceTop(Math.max(...sums));
  const left = Math.ceil(Math.max(...LINES.map((share) => format(top * share).length)) * 7 + 10);
  const bottom = HEIGHT - FOOT;
  const step = (width - left) / parts.length;
  const bar = Math.max(1, Math.min(MAX_BAR, step * 0.72));
  const y = (value) => bottom - (value / top) * (bottom - HEAD);
  const every = Math.ceil(LABEL_PX / step);
  const pointAt = (event) => {
    const i = Math.floor((event.clientX - event.currentTarget.getBoundingClientRect().left - left) / step);
    onPoint(i >= 0 && i < parts.length ? i : null);
  };
  return html`
    <svg class="usage-bars" width=${width} height=${HEIGHT} onPointerMove=${pointAt} onPointerDown=${pointAt}
      onPointerLeave=${() => onPoint(null)}>
      ${LINES.map((share) => html`
        <g key=${share}><line x1=${left} x2=${width} y1=${y(top * share)} y2=${y(top * share)} />
          <text x=${left - 8} y=${y(top * share) + 4} text-anchor="end">${format(top * share)}</text></g>`)}
      ${shown !== null && html`
        <rect class="usage-hover" x=${left + shown * step} y="0" width=${step} height=${bottom} />`}
      ${parts.map((part, i) => {
        let below = 0;
        const x = left + i * step + (step - bar) / 2;
        return html`
          <g key=${part}>
            ${lines.map(({name, values}, line) => {
              const from = below;
              below += values[i];
              return values[i] > 0 && html`
                <rect key=${name} class="usage-bar-${line}" x=${x} y=${y(below)} width=${bar}
                  height=${Math.max(y(from) - y(below), 1)} data-value=${values[i]} />`;
            })}
            ${i % every === 0 && html`
              <text x=${Math.min(left + (i + 0.5) * step, width - EDGE)} y=${HEIGHT - 6} text-anchor="middle">
                ${part}
              </text>`}
          </g>`;
      })}
    </svg>`;
}

/** Return a round number at or above a value, whose half is a whole number. */
function niceTop(value) {
  if (value <= 10) return Math.max(2, Math.ceil(value / 2) * 2);
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 1.2, 1.6, 2, 2.4, 3, 4, 5, 6, 8, 10].map((each) => each * power).find((each) => each >= value);
}
