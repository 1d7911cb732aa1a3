/**
 * What is being prepared: the prompt, the settings, and the picture that is edited.
 * It stays while another view is shown.
 */
import {whenOwnerChanges} from "../../owner.js";
import {copyOfPicture} from "../../picture_files.js";
import {createSignal} from "../../signal.js";
import {PictureGenerator} from "./generator.js";

/** The largest picture that the server generates, and so the largest that it edits; and the smallest. */
const EDITED = {maxEdge: 2048, maxPixels: 3 * 1024 * 1024, minEdge: 64};
const FIRST = {
  prompt: "", editPrompt: "", count: "1", size: "512x512", quality: "auto", format: "png",
  seed: "", steps: "", guidance: "", negative: "",
};

/** @typedef {{blob: Blob, url: string, width: number, height: number, prompt: string}} EditedPicture */

export const generator = new PictureGenerator();

/** @type {import("../../signal.js").Signal<typeof FIRST>} */
export const draft = createSignal(FIRST);

/** @type {import("../../signal.js").Signal<EditedPicture | null>} */
export const edited = createSignal(null);

/** @param {Partial<typeof FIRST>} change */
export function changeDraft(change) {
  draft.set({...draft.get(), ...change});
}

/**
 * Return the settings as fields of a request, without those that are left to the model.
 *
 * @param {"generate" | "edit"} kind an edit has the size of its picture
 * @returns {import("./generator.js").Settings}
 */
export function settingsOf(kind) {
  const {count, size, quality, format, seed, steps, guidance, negative} = draft.get();
  const settings = {n: Number(count), output_format: format};
  if (kind === "generate") settings.size = size;
  if (quality !== "auto") settings.quality = quality;
  if (seed) settings.seed = Number(seed);
  if (steps) settings.steps = Number(steps);
  if (guidance) settings.guidance = Number(guidance);
  if (negative.trim()) settings.negative_prompt = negative.trim();
  return settings;
}

/**
 * Begin to edit one of this visit's pictures.
 *
 * @param {import("./generator.js").Picture} picture
 */
export function editPicture({blob, width, height, prompt}) {
  setEdited({blob, width, height, prompt});
}

/**
 * Begin to edit a picture from the disk, in a size that the server generates.
 *
 * @param {File} file
 * @throws if the browser cannot read it
 */
export async function editFile(file) {
  setEdited({...(await copyOfPicture(file, EDITED)), prompt: file.name});
}

function setEdited(picture) {
  if (edited.get()) URL.revokeObjectURL(edited.get().url);
  edited.set(picture && {...picture, url: URL.createObjectURL(picture.blob)});
}

whenOwnerChanges(() => {
  generator.clear();
  setEdited(null);
  draft.set(FIRST);
});
