/**
 * The address after `#`: which view is shown. Knows no view.
 */
import {createSignal} from "./signal.js";

/** @typedef {{view: string, rest: string[]}} Route `#/chat/abc` is the view `chat` with the rest `["abc"]` */

/** @type {import("./signal.js").Signal<Route>} */
export const route = createSignal(readRoute());

function readRoute() {
  const [view = "", ...rest] = location.hash.replace(/^#\/?/, "").split("/").map(decode);
  return {view, rest};
}

function decode(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/**
 * Return the address of a view.
 *
 * @param {string} view
 * @param {...string} rest
 */
export function addressOf(view, ...rest) {
  return `#/${[view, ...rest].map(encodeURIComponent).join("/")}`;
}

/**
 * Replace the address, without an entry in the history.
 *
 * @param {string} address
 */
export function replaceAddress(address) {
  history.replaceState(null, "", address);
  route.set(readRoute());
}

addEventListener("hashchange", () => route.set(readRoute()));
