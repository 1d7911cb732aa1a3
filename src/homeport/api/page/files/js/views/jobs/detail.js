/**
 * One batch or fine-tune: found in the caller's project, or among those of all, and followed until it ends.
 */
import {ErrorState, Skeleton} from "../../components/states.js";
import {ApiError, requestJson} from "../../client.js";
import {describeError} from "../../errors.js";
import {html} from "../../html.js";
import {t} from "../../i18n.js";
import {Icon} from "../../icons.js";
import {useResource} from "../../resource.js";
import {addressOf} from "../../router.js";
import {usePolling} from "./lists.js";
import {hasEnded} from "./status.js";

const ALL = 1000;

/**
 * @param {import("./lists.js").Scope} scope
 * @param {string} path of the list
 * @param {string} id
 */
export function useDetail(scope, path, id) {
  const found = useResource((signal) => load(scope, path, id, signal), [path, id]);
  const value = found.value?.value ?? null;
  usePolling(value !== null && !hasEnded(value.status), found.value, found.reload);
  return {...found, value, isOwned: found.value?.isOwned ?? false};
}

/** Operators have lists of all projects' jobs, but no path of one. */
async function load(scope, path, id, signal) {
  if (scope.project !== null) {
    try {
      return {value: await requestJson(`/v1${path}/${encodeURIComponent(id)}`, {signal}), isOwned: true};
    } catch (error) {
      if (!scope.isAll || !(error instanceof ApiError) || error.status !== 404) throw error;
    }
  }
  const {data} = await requestJson(`/admin/v1${path}?limit=${ALL}`, {signal});
  const value = data.find((each) => each.id === id);
  if (!value) throw new ApiError(404, {message: t("jobs.gone")});
  return {value, isOwned: false};
}

/** @param {{back: string, found: ReturnType<typeof useDetail>}} props `back`: the tab of the list */
export function Detail({back, found, children}) {
  const {value, error, reload} = found;
  return html`
    <div class="jobs">
      <a class="back" href=${addressOf("jobs", back)}><${Icon} name="left" />${t("jobs.back")}</a>
      ${error && !value && html`
        <${ErrorState} title=${t("jobs.list_failed")} text=${describeError(error)} action=${t("shell.retry")}
          onAction=${reload} />`}
      ${!value && !error && html`<${Skeleton} lines=${5} />`}
      ${children}
    </div>`;
}

/** @param {{facts: [string, unknown][]}} props names and values; those without a value are left out */
export function Facts({facts}) {
  const known = facts.filter(([, value]) => value !== null && value !== undefined && value !== "");
  return html`
    <dl class="facts">
      ${known.map(([name, value]) => html`<div key=${name}><dt>${name}</dt><dd>${value}</dd></div>`)}
    </dl>`;
}
