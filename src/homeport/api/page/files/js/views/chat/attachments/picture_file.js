/**
 * Pictures as parts of a message, made smaller where they are larger than models look at them. What else a photo's file
 * tells, such as where it was taken, is left out.
 */

const MAX_EDGE_PX = 1568;
const MAX_PNG_BYTES = 2_000_000;
const JPEG_QUALITY = 0.9;

/**
 * @param {Blob} file
 * @returns {Promise<string>} a `data:` URL
 * @throws {DOMException} if the browser cannot read it as a picture
 */
export async function readPicture(file) {
  const bitmap = await createImageBitmap(file);
  try {
    const scale = Math.min(1, MAX_EDGE_PX / Math.max(bitmap.width, bitmap.height));
    const canvas = document.createElement("canvas");
    canvas.width = Math.max(1, Math.round(bitmap.width * scale));
    canvas.height = Math.max(1, Math.round(bitmap.height * scale));
    const context = canvas.getContext("2d");
    context.imageSmoothingQuality = "high";
    context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    return await encode(canvas, context, file.type === "image/jpeg");
  } finally {
    bitmap.close();
  }
}

/** As PNG, which keeps lines and letters sharp; photos, and what becomes too large, as JPEG on white. */
async function encode(canvas, context, isPhoto) {
  const png = isPhoto ? null : await toBlob(canvas, "image/png");
  if (png && png.size <= MAX_PNG_BYTES) return toDataUrl(png);
  context.globalCompositeOperation = "destination-over";
  context.fillStyle = "white";
  context.fillRect(0, 0, canvas.width, canvas.height);
  return toDataUrl(await toBlob(canvas, "image/jpeg"));
}

function toBlob(canvas, type) {
  return new Promise((resolve) => canvas.toBlob(resolve, type, JPEG_QUALITY));
}

/**
 * @param {Blob} blob
 * @returns {Promise<string>}
 */
export function toDataUrl(blob) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(blob);
  });
}
