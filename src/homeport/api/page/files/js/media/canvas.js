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
  const scale = devicePixelRatio;
  if (canvas.width !== Math.round(width * scale) || canvas.height !== Math.round(height * scale)) {
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
  }
  const context = canvas.getContext("2d");
  context.setTransform(scale, 0, 0, scale, 0, 0);
  return {context, width, height};
}

/** @param {string} name a color of `tokens.css`, such as `--accent` */
export function tokenColor(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}
