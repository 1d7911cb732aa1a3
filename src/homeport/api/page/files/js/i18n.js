/**
 * The page's languages: the browser's one if it is known, or the one that was chosen.
 */
import {createSignal} from "./signal.js";
import {lastingStorage} from "./storage.js";
import english from "./words/en.js";
import chinese from "./words/zh.js";

const DICTIONARIES = {en: {...english}, zh: {...chinese}};

/** The languages by code, each in its own name. */
export const LANGUAGES = {en: "English", zh: "中文"};

/** @type {import("./signal.js").Signal<"en" | "zh">} */
export const language = createSignal(firstLanguage());

function firstLanguage() {
  const chosen = lastingStorage.read("language");
  if (chosen in DICTIONARIES) return chosen;
  const known = navigator.languages.map((tag) => tag.slice(0, 2).toLowerCase()).find((code) => code in DICTIONARIES);
  return known ?? "en";
}

/**
 * Add the texts of a view, which arrive with it.
 *
 * @param {{en: Record<string, string>, zh: Record<string, string>}} words
 */
export function addWords({en, zh}) {
  Object.assign(DICTIONARIES.en, en);
  Object.assign(DICTIONARIES.zh, zh);
}

/** @param {"en" | "zh"} code */
export function chooseLanguage(code) {
  lastingStorage.write("language", code);
  language.set(code);
}

/**
 * Return a text in the current language.
 *
 * @param {string} key a key of the dictionaries
 * @param {Record<string, string | number>} [values] what replaces `{name}` in it
 * @returns {string}
 */
export function t(key, values = {}) {
  const text = DICTIONARIES[language.get()][key] ?? DICTIONARIES.en[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => String(values[name] ?? whole));
}

/** Return the language's tag for `lang` and `Intl`. */
export function languageTag() {
  return language.get() === "zh" ? "zh-CN" : "en";
}
