/**
 * Facts of models as text: their kind, whether they fit into memory, how fast they are.
 */
import {formatBytes, formatNumber} from "../../format.js";
import {t} from "../../i18n.js";

const ORIGINAL = "original";
/** A window of less than this part of a model's own is worth a warning. */
const ENOUGH_WINDOW = 0.75;
const LAYOUT_BITS = {q8_0: 8.5, q4_0: 4.55, bf16: 16};
/** How a model's source or summary names the bits of its weights; the first match counts. */
const SOURCE_BITS = [
  [/q8_0/i, 8.5], [/q6_k/i, 6.6], [/q5_/i, 5.7], [/q4_0/i, 4.55], [/q4_/i, 4.85], [/q3_/i, 3.9], [/q2_/i, 3.2],
  [/bf16|f16|fp16/i, 16],
];

/** The kinds in the order of the filter. */
export const KINDS = ["text", "embeddings", "transcription", "speech", "moderation", "images"];

/** @param {string} kind */
export function kindName(kind) {
  const names = {
    text: t("models.kind_text"), embeddings: t("models.kind_embeddings"),
    transcription: t("models.kind_transcription"), speech: t("models.kind_speech"),
    moderation: t("models.kind_moderation"), images: t("models.kind_images"),
  };
  return names[kind] ?? kind;
}

/**
 * Whether a model fits into the memory that is available now. `level`: null if it is not known.
 *
 * @param {import("./library.js").LibraryModel} model
 * @param {import("./library.js").Memory} memory
 * @returns {{level: "fits" | "tight" | "too_large" | null, text: string, title: string}}
 */
export function fitOf(model, memory) {
  const available = formatBytes(memory.available_bytes);
  const needed = model.memory_bytes ?? model.size_bytes;
  if (needed === null) return {level: null, text: t("models.fit_unknown"), title: t("models.fit_unknown_title")};
  const title = t("models.fit_title", {needed: formatBytes(needed), available});
  if (model.fits === false) return {level: "too_large", text: t("models.fit_too_large"), title};
  if (model.fits === null) {
    return needed > memory.available_bytes && !model.loaded
      ? {level: "too_large", text: t("models.fit_too_large"), title}
      : {level: "fits", text: t("models.fit_fits"), title};
  }
  if (model.context_window !== null && model.fitting_window < ENOUGH_WINDOW * model.context_window) {
    const window = formatNumber(model.fitting_window);
    return {level: "tight", text: t("models.fit_tight"), title: t("models.fit_tight_title", {window, available})};
  }
  return {level: "fits", text: t("models.fit_fits"), title};
}

/**
 * The measured speed of the layout that is used; null if none was measured.
 *
 * @param {import("./library.js").LibraryModel} model
 * @returns {import("./library.js").Speed | null}
 */
export function speedOf(model) {
  const measured = model.layouts.find((each) => each.layout === model.layout);
  return measured?.speed ?? (model.layout === ORIGINAL ? model.layouts[0]?.original_speed : null) ?? null;
}

/** @param {number} rate tokens per second */
export function formatRate(rate) {
  return t("models.rate", {rate: formatNumber(rate, rate < 10 ? 1 : 0)});
}

/**
 * The window that a model has here, and its own if that is longer.
 *
 * @param {import("./library.js").LibraryModel} model
 */
export function windowOf({context_window: own, fitting_window: fitting}) {
  if (!own) return null;
  if (!fitting || fitting >= own) return formatNumber(own);
  return t("models.window_of", {fitting: formatNumber(fitting), own: formatNumber(own)});
}

/**
 * The size that a layout of a model has or will have, as text; null if it cannot be estimated.
 *
 * @param {import("./library.js").LibraryModel} model
 * @param {string} layout
 */
export function layoutSize(model, layout) {
  const measured = model.layouts.find((each) => each.layout === layout);
  if (measured) return formatBytes(measured.size_bytes);
  const isOriginal = model.layout === ORIGINAL;
  if (layout === ORIGINAL) return isOriginal && model.size_bytes ? formatBytes(model.size_bytes) : null;
  const bits = SOURCE_BITS.find(([pattern]) => pattern.test(`${model.source} ${model.summary}`))?.[1];
  if (!bits || !isOriginal || !model.size_bytes) return null;
  return t("models.about_size", {size: formatBytes((model.size_bytes * LAYOUT_BITS[layout]) / bits)});
}

/**
 * Whether a model matches what is looked for.
 *
 * @param {import("./library.js").LibraryModel} model
 * @param {string} text
 */
export function matches(model, text) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const all = [model.id, model.family, model.summary, model.licence, ...model.aliases].join(" ").toLowerCase();
  return words.every((word) => all.includes(word));
}
