/**
 * Lists by page, and what is shown in place of one: on its way, failed, or empty.
 */
import {Button} from "../../components/button.js";
import {EmptyState, ErrorState, Skeleton} from "../../components/states.js";
import {Table} from "../../components/table.js";
import {requestJson} from "../../client.js";
import {describeError} from "../../errors.js";
import {html, useEffect, useState} from "../../html.js";
import {t} from "../../i18n.js";
import {useResource} from "../../resource.js";

const PAGE = 20;
const POLL_MS = 2000;

/** @typedef {{isAll: boolean, project: string | null}} Scope all projects, or that of the caller */

/**
 * Return where a list is: the caller's own, or that of all projects.
 *
 * @param {Scope} scope
 * @param {string} path such as `/files`
 */
export function pathIn(scope, path) {
  return scope.isAll ? `/admin/v1${path}` : `/v1${path}`;
}

/**
 * Whether the caller may change what a row stands for.
 *
 * @param {Scope} scope
 * @param {{project?: string}} row
 */
export function isOwn(scope, row) {
  return scope.project !== null && (row.project ?? scope.project) === scope.project;
}

/**
 * Load a list page by page, newest first.
 *
 * @param {string} path
 * @param {(rows: any[]) => boolean} [isLive] whether it changes by itself, and is loaded again every two seconds
 */
export function usePages(path, isLive = () => false) {
  const [ends, setEnds] = useState([]); // the last ids of the pages before
  const after = ends.length ? `&after=${encodeURIComponent(ends.at(-1))}` : "";
  const list = useResource((signal) => requestJson(`${path}?limit=${PAGE}${after}`, {signal}), [path, after]);
  const rows = list.value?.data ?? null;
  usePolling(rows !== null && isLive(rows), list.value, list.reload);
  return {
    ...list,
    rows,
    newer: ends.length ? () => setEnds(ends.slice(0, -1)) : null,
    older: list.value?.has_more ? () => setEnds([...ends, rows.at(-1).id]) : null,
  };
}

/** Load something again after two seconds, as long as it changes. @param {boolean} isLive @param {unknown} value */
export function usePolling(isLive, value, reload) {
  useEffect(() => {
    if (!isLive) return undefined;
    const timer = setTimeout(reload, POLL_MS);
    return () => clearTimeout(timer);
  }, [isLive, value]);
}

/**
 * @param {object} props
 * @param {ReturnType<typeof usePages>} props.pages
 * @param {string} props.label
 * @param {any[]} props.columns of the table
 * @param {{title: string, text: string}} props.empty what to say if there is nothing
 * @param {unknown} [props.action] what can be done about it
 */
export function PagedTable({pages, label, columns, empty, action}) {
  const {rows, error, reload, newer, older} = pages;
  if (error && !rows) {
    return html`<${ErrorState} title=${t("jobs.list_failed")} text=${describeError(error)}
      action=${t("shell.retry")} onAction=${reload} />`;
  }
  if (!rows) return html`<${Skeleton} lines=${4} />`;
  if (!rows.length && !newer) return html`<${EmptyState} ...${empty}>${action}<//>`;
  return html`
    <${Table} label=${label} columns=${columns} rows=${rows} rowKey=${(row) => row.id} />
    ${(newer || older) && html`
      <div class="button-row pager">
        <${Button} disabled=${!newer} onClick=${newer}>${t("jobs.newer")}<//>
        <${Button} disabled=${!older} onClick=${older}>${t("jobs.older")}<//>
      </div>`}`;
}

/** The column that says whose a row is, where rows of all projects are listed. @param {Scope} scope */
export function projectColumn(scope) {
  return scope.isAll ? [{name: "project", title: t("jobs.project")}] : [];
}
