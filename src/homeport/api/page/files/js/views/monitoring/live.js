/**
 * Follows one of the server's streams: what was missed, then each event. It rests while the tab is hidden or the server
 * is away, and asks again every few seconds where a stream breaks or nothing arrives on it.
 */
import {requestEvents} from "../../client.js";
import {isConnected} from "../../connection.js";

const PAUSE_MS = 3000;
/** After a stream that failed, or on which nothing arrived, so many questions come before the next one. */
const QUESTIONS = 20;

/**
 * @param {object} source
 * @param {(signal: AbortSignal) => Promise<string>} source.catchUp asks for what was missed; returns the stream's path
 * @param {(event: any) => void} source.onEvent
 * @param {(error: unknown) => void} source.onError why it could not catch up
 * @param {number} [source.maxSilenceMs] after so long without an event, a stream is given up
 * @returns {() => void} ends it
 */
export function follow({catchUp, onEvent, onError, maxSilenceMs}) {
  let isEnded = false;
  let control = new AbortController();
  let wake = () => {};
  const mayRun = () => !document.hidden && isConnected.get();
  const change = () => (mayRun() ? wake() : control.abort());
  const wait = (ms) => new Promise((resolve) => {
    wake = resolve;
    if (ms) setTimeout(resolve, ms);
  });

  const run = async () => {
    let questions = 0;
    while (!isEnded) {
      if (!mayRun()) {
        await wait(0);
        continue;
      }
      control = new AbortController();
      const {signal} = control;
      const path = await catchUp(signal).catch((error) => {
        if (!signal.aborted) onError(error);
        return null;
      });
      if (signal.aborted) continue;
      if (questions > 0) questions -= 1;
      else if (path && !(await readStream(path, control, onEvent, maxSilenceMs))) questions = QUESTIONS;
      if (!isEnded && mayRun()) await wait(PAUSE_MS);
    }
  };
  const leave = isConnected.subscribe(change);
  document.addEventListener("visibilitychange", change);
  run();
  return () => {
    isEnded = true;
    leave();
    document.removeEventListener("visibilitychange", change);
    control.abort();
    wake();
  };
}

/** @returns {Promise<boolean>} whether streams get through: it did not fail, and was not given up in silence */
async function readStream(path, control, onEvent, maxSilenceMs) {
  let works = true;
  let timer;
  const watch = () => {
    clearTimeout(timer);
    if (!maxSilenceMs) return;
    timer = setTimeout(() => {
      works = false;
      control.abort();
    }, maxSilenceMs);
  };
  watch();
  try {
    for await (const event of requestEvents(path, {method: "GET", signal: control.signal})) {
      watch();
      onEvent(event);
    }
  } catch {
    works &&= control.signal.aborted; // why it failed is what the next question shows
  } finally {
    clearTimeout(timer);
  }
  return works;
}
