/**
 * The models and jobs of the server as an operator sees them: loaded, followed and changed. Knows nothing of how they
 * are shown.
 */
import {requestEvents, requestJson} from "../../client.js";
import {useEffect, useRef, useState} from "../../html.js";
import {usePolling} from "../../polling.js";
import {useResource} from "../../resource.js";

const ROOT = "/admin/v1/models";
const LIBRARY_MS = 10000;
const ACTIVE_JOBS_MS = 2000;
const JOBS_MS = 8000;
const ACTIVE = ["queued", "running"];

/**
 * @typedef {object} LibraryModel
 * @property {string} id
 * @property {string} kind
 * @property {string | null} summary
 * @property {boolean} installed
 * @property {boolean} tested
 * @property {string} licence
 * @property {number | null} size_bytes
 * @property {number} disk_bytes
 * @property {number | null} context_window
 * @property {number | null} memory_bytes
 * @property {number | null} fitting_window
 * @property {boolean | null} fits
 * @property {string[]} capabilities
 * @property {string | null} layout
 * @property {{layout: string, size_bytes: number, gain: number, speed: Speed, original_speed: Speed}[]} layouts
 * @property {string | null} projector
 * @property {string | null} source
 * @property {string | null} parent
 * @property {boolean} loaded
 * @property {string | null} state of its worker
 * @property {number} in_use
 * @property {string[]} aliases
 * @property {string | null} job
 *
 * @typedef {{prefill: number, decode_1: number, decode_16: number}} Speed tokens per second
 * @typedef {{available_bytes: number, total_bytes: number}} Memory
 *
 * @typedef {object} Job
 * @property {string} id
 * @property {"model.pull" | "model.optimization"} object
 * @property {"queued" | "running" | "paused" | "interrupted" | "completed" | "failed" | "cancelled"} status
 * @property {string | null} model
 * @property {string} message
 * @property {{message: string} | null} error
 * @property {string} [reference]
 * @property {number} [total_bytes]
 * @property {number} [done_bytes]
 * @property {number} [bytes_per_second]
 * @property {number | null} [seconds_left]
 * @property {boolean} [dry_run]
 * @property {{layout: string, changed: boolean, layouts: object[]} | null} [result]
 */

/** The models and this machine's memory, again every few seconds. */
export function useLibrary() {
  const resource = useResource((signal) => requestJson(ROOT, {signal}));
  usePolling(resource.reload, LIBRARY_MS);
  return resource;
}

/** All aliases. */
export function useAliases() {
  return useResource(async (signal) => (await requestJson(`${ROOT}/aliases`, {signal})).data);
}

/**
 * The jobs, of which running pulls are followed by their events.
 *
 * @param {(job: Job) => void} onEnd is called for each job that ends while the page is open
 * @returns {{jobs: Job[], reload: () => void}}
 */
export function useJobs(onEnd) {
  const {value, reload} = useResource(loadJobs);
  const [events, setEvents] = useState({});
  const before = useRef(new Map());
  const listed = value ?? [];
  usePolling(reload, listed.some((job) => ACTIVE.includes(job.status)) ? ACTIVE_JOBS_MS : JOBS_MS);
  useEffect(() => {
    for (const job of listed) {
      if (ACTIVE.includes(before.current.get(job.id)) && ["completed", "failed"].includes(job.status)) onEnd(job);
    }
    before.current = new Map(listed.map((job) => [job.id, job.status]));
  }, [value]);
  const followed = listed.filter(isRunningPull).map((job) => job.id).join();
  useEffect(() => {
    const control = new AbortController();
    const take = (job) => setEvents((all) => ({...all, [job.id]: job}));
    for (const id of followed.split(",").filter(Boolean)) follow(id, control.signal, take).then(reload);
    return () => control.abort();
  }, [followed]);
  // The list says what has changed; an event of the same state is newer than it.
  const jobs = listed.map((job) => (events[job.id]?.status === job.status ? events[job.id] : job));
  return {jobs, reload};
}

function isRunningPull(job) {
  return job.object === "model.pull" && job.status === "running";
}

async function loadJobs(signal) {
  const lists = await Promise.all(["pulls", "optimizations"].map((name) => requestJson(`${ROOT}/${name}`, {signal})));
  return lists.flatMap((list) => list.data);
}

/** Read a pull's events until it no longer runs. */
async function follow(id, signal, take) {
  try {
    for await (const job of requestEvents(`${ROOT}/pulls/${id}/events`, {method: "GET", signal})) {
      take(job);
      if (job.status !== "running") return;
    }
  } catch {
    // The list, which is loaded next, says why it failed.
  }
}

/**
 * Start a pull.
 *
 * @param {{reference: string, projector?: string, optimize?: boolean}} body
 * @returns {Promise<Job>}
 */
export function startPull(body) {
  return requestJson(`${ROOT}/pulls`, {method: "POST", body});
}

/**
 * @param {string} model
 * @param {{layout: string | null, dry_run: boolean}} body
 * @returns {Promise<Job>}
 */
export function startOptimization(model, body) {
  return requestJson(`${ROOT}/${encodeURIComponent(model)}/optimize`, {method: "POST", body});
}

/**
 * @param {Job} job
 * @param {"pause" | "resume" | "cancel"} action
 */
export function changeJob(job, action) {
  return requestJson(`${pathOf(job)}/${action}`, {method: "POST"});
}

/** Delete the record of a job that has ended. @param {Job} job */
export function forgetJob(job) {
  return requestJson(pathOf(job), {method: "DELETE"});
}

function pathOf(job) {
  return `${ROOT}/${job.object === "model.pull" ? "pulls" : "optimizations"}/${encodeURIComponent(job.id)}`;
}

/**
 * @param {string} model
 * @param {"load" | "unload"} action
 */
export function changeModel(model, action) {
  return requestJson(`${ROOT}/${encodeURIComponent(model)}/${action}`, {method: "POST"});
}

/**
 * @param {string} model
 * @param {boolean} isForced whether its requests fail that are answered now
 */
export function deleteModel(model, isForced) {
  return requestJson(`${ROOT}/${encodeURIComponent(model)}?force=${isForced}`, {method: "DELETE"});
}

/**
 * @param {string} name
 * @param {string} target
 */
export function saveAlias(name, target) {
  return requestJson(aliasPath(name), {method: "PUT", body: {target}});
}

/** @param {string} name */
export function deleteAlias(name) {
  return requestJson(aliasPath(name), {method: "DELETE"});
}

/** Give a name its built-in meaning back. @param {string} name */
export function resetAlias(name) {
  return requestJson(`${aliasPath(name)}/reset`, {method: "POST"});
}

function aliasPath(name) {
  return `${ROOT}/aliases/${encodeURIComponent(name)}`;
}
