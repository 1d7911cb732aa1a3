/**
 * How alike several things are, as a table whose cells are the stronger colored the more alike two are.
 */
import {html} from "../../html.js";
import {t} from "../../i18n.js";
import {formatScore} from "./scores.js";

const LEVELS = 10;

/** @param {{items: import("./comparison.js").Item[], matrix: number[][]}} props */
export function HeatMap({items, matrix}) {
  const pairs = pairsOf(matrix);
  const values = pairs.map(({value}) => value);
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const level = (value) => (high > low ? Math.round(((value - low) / (high - low)) * LEVELS) : LEVELS);
  const most = pairs.reduce((best, pair) => (pair.value > best.value ? pair : best));
  const name = (index) => `${index + 1}`;
  return html`
    <section class="heat" aria-labelledby="heat-title">
      <h2 id="heat-title">${t("vectors.similarity")}</h2>
      <p>${t("vectors.most_alike", {a: name(most.row), b: name(most.column), value: formatScore(most.value)})}</p>
      <div class="table-frame" role="region" aria-label=${t("vectors.similarity")} tabindex="0">
        <table class="heat-table">
          <thead><tr>
            <td></td>
            ${items.map(({label}, i) => html`
              <th key=${i} scope="col" title=${label} aria-label=${`${name(i)}: ${label}`}>${name(i)}</th>`)}
          </tr></thead>
          <tbody>
            ${items.map(({label, url}, row) => html`
              <tr key=${row}>
                <th scope="row" title=${label}>
                  <span class="heat-label"><span class="heat-number">${name(row)}</span>
                    ${url && html`<img src=${url} alt="" />`}<span class="heat-text">${label}</span></span>
                </th>
                ${matrix[row].map((value, column) => html`
                  <td key=${column} class=${row === column ? "heat-same" : `heat-${level(value)}`}
                    title=${`${items[row].label} · ${items[column].label}`}>${formatScore(value)}</td>`)}
              </tr>`)}
          </tbody>
        </table>
      </div>
      <p class="muted heat-legend">
        <span>${formatScore(low)}</span>
        <span class="heat-scale" aria-hidden="true">
          ${Array.from({length: LEVELS + 1}, (_, i) => html`<span key=${i} class=${`heat-${i}`}></span>`)}
        </span>
        <span>${formatScore(high)}</span><span>${t("vectors.legend")}</span>
      </p>
    </section>`;
}

/** Return each pair of different things once. */
function pairsOf(matrix) {
  return matrix.flatMap((values, row) =>
    values.slice(row + 1).map((value, i) => ({row, column: row + 1 + i, value})));
}
