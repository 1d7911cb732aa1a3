/**
 * What is compared: lines of text and pictures, and how alike they were. Knows nothing of how it is shown.
 */
import {whenOwnerChanges} from "../../owner.js";
import {dataUrlOf} from "../../picture_files.js";
import {createSignal} from "../../signal.js";
import {cosine, embed, pictureInput, smallCopyOf} from "./embeddings.js";

/** More do not fit into a table that one can read. */
export const MAX_ITEMS = 40;

/** @typedef {{label: string, url: string | null}} Item what was compared; `url`: of a picture */

/**
 * @typedef {object} Comparison
 * @property {string} text
 * @property {string} dimensions
 * @property {{id: number, name: string, url: string, dataUrl: string}[]} pictures
 * @property {{items: Item[], matrix: number[][], model: string} | null} result
 * @property {boolean} isRunning
 * @property {unknown} error
 */

/** @type {Comparison} */
const FIRST = {text: "", dimensions: "", pictures: [], result: null, isRunning: false, error: null};
let count = 0;

/** @type {import("../../signal.js").Signal<Comparison>} It stays while another view is shown. */
export const comparison = createSignal(FIRST);

/** @param {Partial<Comparison>} change */
export function change(change) {
  comparison.set({...comparison.get(), ...change});
}

/** @param {File[]} files @throws if the browser cannot read one */
export async function addPictures(files) {
  for (const file of files.slice(0, MAX_ITEMS - comparison.get().pictures.length)) {
    const blob = await smallCopyOf(file);
    const picture = {id: ++count, name: file.name, url: URL.createObjectURL(blob), dataUrl: await dataUrlOf(blob)};
    change({pictures: [...comparison.get().pictures, picture]});
  }
}

/** @param {number} id */
export function removePicture(id) {
  change({pictures: comparison.get().pictures.filter((each) => each.id !== id)});
}

/** @param {string} text @returns {string[]} its lines that are not empty */
export function linesOf(text) {
  return text.split("\n").map((line) => line.trim()).filter(Boolean);
}

/**
 * Compare all with all.
 *
 * @param {string} model
 * @param {boolean} withPictures whether the model embeds pictures
 */
export async function compare(model, withPictures) {
  const {text, dimensions, pictures: all} = comparison.get();
  const lines = linesOf(text);
  const pictures = withPictures ? all : [];
  const items = [
    ...lines.map((label) => ({label, url: null})),
    ...pictures.map(({name, url}) => ({label: name, url})),
  ];
  change({isRunning: true, error: null});
  try {
    const inputs = [...lines, ...pictures.map(({dataUrl}) => pictureInput(dataUrl))];
    const vectors = await embed(model, inputs, {dimensions: withPictures ? undefined : Number(dimensions)});
    const matrix = vectors.map((a) => vectors.map((b) => cosine(a, b)));
    change({isRunning: false, result: {items, matrix, model}});
  } catch (error) {
    change({isRunning: false, error});
  }
}

whenOwnerChanges(() => comparison.set(FIRST));
