/**
 * Whether the server answers. If it does not, it is asked again until it does.
 */
import {createSignal} from "./signal.js";

const POLL_MS = 1500;

/** @type {import("./signal.js").Signal<boolean>} */
export const isConnected = createSignal(true);

/** Record that a request did not reach the server, and begin to ask for it. */
export function reportLost() {
  if (!isConnected.get()) return;
  isConnected.set(false);
  setTimeout(poll, POLL_MS);
}

async function poll() {
  try {
    const response = await fetch("/health/live", {cache: "no-store"});
    if (response.ok) return isConnected.set(true);
  } catch {
    // It is still away.
  }
  return setTimeout(poll, POLL_MS);
}
