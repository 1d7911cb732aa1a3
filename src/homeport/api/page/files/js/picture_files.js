/**
 * Pictures as files: reads those that browsers can show, makes copies of another size, and passes them on.
 */

/** What the server decodes, as `accept` of a file field. */
export const PICTURE_TYPES = "image/png,image/jpeg,image/webp,image/gif";
const WHITE = "white";

/** @typedef {{blob: Blob, width: number, height: number}} PictureCopy */

/**
 * Return a copy of a picture, upright and without what else its file says.
 *
 * @param {Blob} file
 * @param {object} [wanted]
 * @param {number} [wanted.maxEdge] the longest edge in pixels; a smaller picture stays as it is
 * @param {number} [wanted.maxPixels]
 * @param {number} [wanted.minEdge] the shortest edge in pixels
 * @param {boolean} [wanted.isSquare] whether white margins make it a square
 * @param {string} [wanted.type] PNG keeps transparency; others are on white
 * @returns {Promise<PictureCopy>}
 * @throws if the browser cannot read it
 */
export async function copyOfPicture(file, wanted = {}) {
  const {maxEdge = Infinity, maxPixels = Infinity, minEdge = 1, isSquare = false, type = "image/png"} = wanted;
  const bitmap = await createImageBitmap(file);
  const {width, height} = bitmap;
  const [long, short] = [Math.max(width, height), Math.min(width, height)];
  const pixels = isSquare ? long * long : width * height;
  const down = Math.min(1, maxEdge / long, Math.sqrt(maxPixels / pixels));
  const scale = isSquare ? down : Math.min(Math.max(down, minEdge / short), maxEdge / long);
  const drawn = {width: Math.max(1, Math.floor(width * scale)), height: Math.max(1, Math.floor(height * scale))};
  const edge = Math.max(drawn.width, drawn.height, minEdge);
  const canvas = document.createElement("canvas");
  canvas.width = isSquare ? edge : drawn.width;
  canvas.height = isSquare ? edge : drawn.height;
  const context = canvas.getContext("2d");
  if (isSquare || type !== "image/png") {
    context.fillStyle = WHITE;
    context.fillRect(0, 0, canvas.width, canvas.height);
  }
  const [x, y] = [Math.floor((canvas.width - drawn.width) / 2), Math.floor((canvas.height - drawn.height) / 2)];
  context.drawImage(bitmap, x, y, drawn.width, drawn.height);
  bitmap.close();
  return {blob: await blobOf(canvas, type), width: canvas.width, height: canvas.height};
}

/**
 * Return what is drawn on a canvas as a file.
 *
 * @param {HTMLCanvasElement} canvas
 * @param {string} [type]
 * @returns {Promise<Blob>}
 */
export function blobOf(canvas, type = "image/png") {
  return new Promise((resolve, reject) => {
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("no picture"))), type, 0.92);
  });
}

/**
 * Return a file as an address that requests in JSON can have.
 *
 * @param {Blob} blob
 * @returns {Promise<string>}
 */
export function dataUrlOf(blob) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(blob);
  });
}

/** Whether the browser lets this page copy pictures: it does so only over TLS and on this machine. */
export const canCopyPictures = Boolean(globalThis.ClipboardItem && navigator.clipboard?.write);

/**
 * Copy a picture to the clipboard, as PNG.
 *
 * @param {Blob} blob
 * @returns {Promise<boolean>} whether it is copied
 */
export async function copyPicture(blob) {
  try {
    const png = blob.type === "image/png" ? blob : copyOfPicture(blob).then((copy) => copy.blob);
    await navigator.clipboard.write([new ClipboardItem({"image/png": png})]);
    return true;
  } catch {
    return false;
  }
}
