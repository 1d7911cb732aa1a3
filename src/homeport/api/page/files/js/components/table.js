/**
 * A table that scrolls sideways where it is wider than the screen.
 */
import {html} from "../html.js";

/**
 * @param {object} props
 * @param {string} props.label
 * @param {{name: string, title: string, isNumber?: boolean, cell?: (row: any) => unknown}[]} props.columns
 * @param {any[]} props.rows
 * @param {(row: any) => string} props.rowKey
 */
export function Table({label, columns, rows, rowKey}) {
  const kind = (column) => (column.isNumber ? "number" : "");
  return html`
    <div class="table-frame" role="region" aria-label=${label} tabindex="0">
      <table>
        <thead><tr>
          ${columns.map((column) => html`
            <th key=${column.name} scope="col" class=${kind(column)}>${column.title}</th>`)}
        </tr></thead>
        <tbody>
          ${rows.map((row) => html`<tr key=${rowKey(row)}>
            ${columns.map((column) => html`
              <td key=${column.name} class=${kind(column)}>${column.cell ? column.cell(row) : row[column.name]}</td>`)}
          </tr>`)}
        </tbody>
      </table>
    </div>`;
}
