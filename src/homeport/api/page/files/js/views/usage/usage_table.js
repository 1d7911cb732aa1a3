/**
 * The sums as a table: sorted by any column, in pages, with their total.
 */
import {IconButton} from "../../components/button.js";
import {formatNumber} from "../../format.js";
import {html, useState} from "../../html.js";
import {t} from "../../i18n.js";

const PAGE_ROWS = 50;
const ARROWS = {ascending: "↑", descending: "↓"};

/**
 * @param {object} props
 * @param {string} props.title of the first column
 * @param {import("./usage_data.js").Sum[]} props.rows
 * @param {import("./usage_data.js").Sum} props.total
 * @param {(name: string) => {text: string, hint?: string}} props.describe a group's name as text
 * @param {string} props.first the column by which rows are sorted first
 */
export function UsageTable({title, rows, total, describe, first}) {
  const [sort, setSort] = useState({name: first, isUp: false});
  const [page, setPage] = useState(0);
  const columns = [
    {name: "name", title, text: (row) => html`<${Name} ...${describe(row.name)} />`},
    {name: "requests", title: t("usage.requests")},
    {name: "prompt_tokens", title: t("usage.prompt_tokens")},
    {name: "cached_tokens", title: t("usage.cached_tokens")},
    {name: "completion_tokens", title: t("usage.generated_tokens")},
    {name: "tokens", title: t("usage.all_tokens"), value: tokensOf},
  ];
  const choose = (name) => {
    setSort({name, isUp: sort.name === name ? !sort.isUp : name === "name"});
    setPage(0);
  };
  const sorted = sortRows(rows, columns.find(({name}) => name === sort.name), sort.isUp, describe);
  const n = Math.ceil(rows.length / PAGE_ROWS);
  const at = Math.min(page, n - 1);
  const toNext = () => setPage(at + 1);
  const number = (column, row) => formatNumber(column.value ? column.value(row) : row[column.name]);
  return html`
    <div class="table-frame usage-table" role="region" aria-label=${t("usage.sums")} tabindex="0">
      <table>
        <thead><tr>
          ${columns.map((column) => html`
            <${SortHead} key=${column.name} column=${column} sort=${sort} onChoose=${choose} />`)}
        </tr></thead>
        <tbody>
          ${sorted.slice(at * PAGE_ROWS, (at + 1) * PAGE_ROWS).map((row) => html`
            <tr key=${row.name}>${columns.map((column) => html`
              <td key=${column.name} class=${column.text ? "" : "number"}>
                ${column.text ? column.text(row) : number(column, row)}
              </td>`)}</tr>`)}
        </tbody>
        <tfoot><tr>
          <th scope="row">${t("usage.total")}</th>
          ${columns.slice(1).map((column) => html`
            <td key=${column.name} class="number">${number(column, total)}</td>`)}
        </tr></tfoot>
      </table>
    </div>
    ${n > 1 && html`
      <nav class="usage-pages" aria-label=${t("usage.pages")}>
        <${IconButton} icon="left" label=${t("usage.previous")} disabled=${at === 0} onClick=${() => setPage(at - 1)} />
        <span>${t("usage.rows", {from: formatNumber(at * PAGE_ROWS + 1),
          to: formatNumber(Math.min((at + 1) * PAGE_ROWS, rows.length)), all: formatNumber(rows.length)})}</span>
        <${IconButton} icon="right" label=${t("usage.next")} disabled=${at === n - 1} onClick=${toNext} />
      </nav>`}`;
}

function SortHead({column, sort, onChoose}) {
  const isChosen = sort.name === column.name;
  const order = isChosen ? (sort.isUp ? "ascending" : "descending") : "none";
  return html`
    <th scope="col" class=${column.text ? "" : "number"} aria-sort=${order}>
      <button type="button" class="usage-sort" onClick=${() => onChoose(column.name)}>
        ${column.title}<span aria-hidden="true">${ARROWS[order] ?? ""}</span>
      </button>
    </th>`;
}

function Name({text, hint}) {
  return html`
    <span class="usage-name"><span class="name" title=${text}>${text}</span>
      ${hint && html`<small class="muted" title=${hint}>${hint}</small>`}</span>`;
}

/** @param {import("./usage_data.js").Sum} row */
export function tokensOf(row) {
  return row.prompt_tokens + row.completion_tokens;
}

function sortRows(rows, column, isUp, describe) {
  const value = column.value ?? ((row) => row[column.name]);
  const compare = column.name === "name"
    ? (a, b) => describe(a.name).text.localeCompare(describe(b.name).text)
    : (a, b) => value(a) - value(b);
  return [...rows].sort((a, b) => (isUp ? compare(a, b) : compare(b, a)));
}
