/**
 * The events of a fine-tune, kept up to date while it runs: messages, and the metrics of each step.
 */
import {requestJson} from "../../client.js";
import {useEffect, useRef, useState} from "../../html.js";

const PAGE = 100;
const MAX_EVENTS = 20_000;
const POLL_MS = 1500;

/**
 * @typedef {object} JobEvent
 * @property {string} id
 * @property {number} created_at
 * @property {string} level
 * @property {string} message
 * @property {string} type `metrics` or `message`
 * @property {Record<string, number> | null} data
 */

/**
 * @param {string} path of the job's events
 * @param {boolean} isLive
 * @returns {JobEvent[]} the oldest first
 */
export function useJobEvents(path, isLive) {
  const [events, setEvents] = useState([]);
  const known = useRef([]);
  useEffect(() => {
    const control = new AbortController();
    let timer = 0;
    const load = async () => {
      try {
        const added = await readNewer(path, known.current, control.signal);
        if (added.length) {
          known.current = [...known.current, ...added];
          setEvents(known.current);
        }
      } catch {
        // The job itself says if the server is away; the next round reads what is missing.
      }
      if (isLive && !control.signal.aborted) timer = setTimeout(load, POLL_MS);
    };
    load();
    return () => {
      control.abort();
      clearTimeout(timer);
    };
  }, [path, isLive]);
  return events;
}

/** Read pages, the newest first, back to the last event that is known. */
async function readNewer(path, known, signal) {
  const last = known.at(-1)?.id;
  const found = [];
  let after = "";
  while (found.length < MAX_EVENTS) {
    const {data, has_more: hasMore} = await requestJson(`${path}?limit=${PAGE}${after}`, {signal});
    const at = data.findIndex(({id}) => id === last);
    found.push(...(at < 0 ? data : data.slice(0, at)));
    if (at >= 0 || !hasMore || !data.length) break;
    after = `&after=${encodeURIComponent(data.at(-1).id)}`;
  }
  return found.reverse();
}

/**
 * Return the losses by step, for a plot.
 *
 * @param {JobEvent[]} events
 */
export function lossesOf(events) {
  const bySteps = new Map();
  for (const {type, data} of events) {
    if (type === "metrics" && data?.step !== undefined) bySteps.set(data.step, {...bySteps.get(data.step), ...data});
  }
  const rows = [...bySteps.values()].sort((a, b) => a.step - b.step);
  const column = (name) => rows.map((row) => row[name] ?? null);
  const hasAny = (name) => rows.some((row) => row[name] != null);
  return {steps: rows.map(({step}) => step), column, hasAny, last: rows.at(-1) ?? null};
}
