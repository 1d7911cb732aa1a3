/**
 * Light or dark: the system's choice, or the one that was made here.
 */
import {createSignal} from "./signal.js";
import {lastingStorage} from "./storage.js";

export const THEMES = ["system", "light", "dark"];

const kept = lastingStorage.read("theme");
/** @type {import("./signal.js").Signal<string>} */
export const theme = createSignal(THEMES.includes(kept) ? kept : "system");

/** @param {string} name one of `THEMES` */
export function chooseTheme(name) {
  lastingStorage.write("theme", name === "system" ? null : name);
  theme.set(name);
  applyTheme();
}

/** Show the current theme. The styles do the rest. */
export function applyTheme() {
  document.documentElement.dataset.theme = theme.get();
}
