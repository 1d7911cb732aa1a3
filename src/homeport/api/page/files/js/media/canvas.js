/**
 * What drawings on a canvas share: sharp pixels, and the colors of the theme.
 */

/**
 * Make a canvas as fine as the screen.
 *
 * @param {HTMLCanvasElement} canvas
 * @returns {{context: CanvasRenderingContext2D, width: number, height: number}} a size in CSS pixels
 */
export function fitCanvas(canvas) {
  const {clientWidth: width, clientHeight: height} = canvas;
  fitSize(canvas);
  const context = canvas.getContext("2d");
  context.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
  return {context, width, height};
}

/**
 * Give a canvas as many pixels as it covers on the screen.
 *
 * @param {HTMLCanvasElement} canvas
 */
export function fitSize(canvas) {
  const [width, height] = [canvas.clientWidth, canvas.clientHeight].map((size) => Math.round(size * devicePixelRatio));
  if (canvas.width === width && canvas.height === height) return;
  canvas.width = width;
  canvas.height = height;
}

/** @param {string} name a color of `tokens.css`, such as `--accent` */
export function tokenColor(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}
