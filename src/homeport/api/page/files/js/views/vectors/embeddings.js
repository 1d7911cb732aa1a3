/**
 * Vectors of texts and pictures from the server, and how alike they are.
 */
import {requestJson} from "../../client.js";
import {copyOfPicture} from "../../picture_files.js";

/** No model looks at more pixels. */
const MAX_EDGE = 448;

/** @typedef {string | {type: "image_url", image_url: {url: string}}} Input */

/**
 * @param {string} model
 * @param {Input[]} input
 * @param {{dimensions?: number, signal?: AbortSignal}} [options]
 * @returns {Promise<number[][]>} the vectors, in the order of the inputs
 */
export async function embed(model, input, {dimensions, signal} = {}) {
  const body = {model, input, encoding_format: "float", ...(dimensions ? {dimensions} : {})};
  const {data} = await requestJson("/v1/embeddings", {method: "POST", body, signal});
  return data.sort((a, b) => a.index - b.index).map(({embedding}) => embedding);
}

/**
 * Return a copy of a picture that is as good for embedding. Drawings stay exact, since their vectors show it.
 *
 * @param {File} file
 * @returns {Promise<Blob>}
 * @throws if the browser cannot read it
 */
export async function smallCopyOf(file) {
  const type = file.type === "image/jpeg" ? file.type : "image/png";
  return (await copyOfPicture(file, {maxEdge: MAX_EDGE, type})).blob;
}

/**
 * Return a picture as an input.
 *
 * @param {string} url a data: address
 * @returns {Input}
 */
export function pictureInput(url) {
  return {type: "image_url", image_url: {url}};
}

/**
 * Return the cosine of the angle between two vectors: 1 for the same direction.
 *
 * @param {number[]} a
 * @param {number[]} b
 */
export function cosine(a, b) {
  let [product, lengthA, lengthB] = [0, 0, 0];
  for (let i = 0; i < a.length; i += 1) {
    product += a[i] * b[i];
    lengthA += a[i] * a[i];
    lengthB += b[i] * b[i];
  }
  return product / (Math.sqrt(lengthA * lengthB) || 1);
}

/**
 * Whether a model embeds pictures and texts into one space.
 *
 * @param {import("../../models.js").Model} model
 */
export function embedsPictures({capabilities}) {
  return capabilities.includes("image_embeddings");
}
