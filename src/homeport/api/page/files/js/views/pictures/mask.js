/**
 * The mask of an edit: what was painted over a picture, stroke by stroke. Knows nothing of pointers and keys.
 */
import {blobOf} from "../../picture_files.js";

const OPAQUE_FROM = 128;

/**
 * @typedef {object} Stroke
 * @property {"paint" | "erase" | "all" | "clear"} kind
 * @property {number} size the brush's diameter in pixels of the picture
 * @property {{x: number, y: number}[]} points
 */

/** A mask on a canvas as large as the picture. */
export class Mask {
  /** @type {Stroke[]} */
  #strokes = [];

  /**
   * @param {HTMLCanvasElement} canvas
   * @param {string} color what marks the parts that change
   */
  constructor(canvas, color) {
    this.canvas = canvas;
    this.color = color;
    this.context = canvas.getContext("2d", {willReadFrequently: true});
  }

  get canUndo() {
    return this.#strokes.length > 0;
  }

  /** @param {"paint" | "erase"} kind @param {number} size @param {{x: number, y: number}} point */
  begin(kind, size, point) {
    const stroke = {kind, size, points: [point]};
    this.#strokes.push(stroke);
    this.#draw(stroke, 0);
  }

  /** Continue the stroke. @param {{x: number, y: number}} point */
  extend(point) {
    const stroke = this.#strokes.at(-1);
    stroke.points.push(point);
    this.#draw(stroke, stroke.points.length - 1);
  }

  /** Mark everything or nothing. @param {"all" | "clear"} kind */
  set(kind) {
    const stroke = {kind, size: 0, points: []};
    this.#strokes.push(stroke);
    this.#draw(stroke, 0);
  }

  /** Take the last stroke back. */
  undo() {
    this.#strokes.pop();
    this.redraw();
  }

  /** Draw all strokes again, such as in another color. */
  redraw() {
    this.context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    for (const stroke of this.#strokes) {
      // Piece by piece as before, because edges of overlapping pieces add up.
      for (let at = 0; at < Math.max(stroke.points.length, 1); at += 1) this.#draw(stroke, at);
    }
  }

  /** Return which share of the picture is marked, from 0 to 1. */
  share() {
    const {data} = this.#pixels();
    let marked = 0;
    for (let at = 3; at < data.length; at += 4) if (data[at] >= OPAQUE_FROM) marked += 1;
    return marked / (data.length / 4);
  }

  /**
   * Return the mask as the server reads it: transparent where the picture changes, else black.
   *
   * @returns {Promise<Blob>}
   */
  file() {
    const pixels = this.#pixels();
    const {data} = pixels;
    for (let at = 0; at < data.length; at += 4) {
      const isMarked = data[at + 3] >= OPAQUE_FROM;
      data.fill(0, at, at + 3);
      data[at + 3] = isMarked ? 0 : 255;
    }
    const canvas = document.createElement("canvas");
    canvas.width = this.canvas.width;
    canvas.height = this.canvas.height;
    canvas.getContext("2d").putImageData(pixels, 0, 0);
    return blobOf(canvas);
  }

  #pixels() {
    return this.context.getImageData(0, 0, this.canvas.width, this.canvas.height);
  }

  /** Draw a stroke's piece that ends at one of its points. */
  #draw({kind, size, points}, at) {
    const {context, canvas} = this;
    if (kind === "clear") return context.clearRect(0, 0, canvas.width, canvas.height);
    context.fillStyle = context.strokeStyle = this.color;
    if (kind === "all") return context.fillRect(0, 0, canvas.width, canvas.height);
    context.globalCompositeOperation = kind === "erase" ? "destination-out" : "source-over";
    context.lineWidth = size;
    context.lineCap = context.lineJoin = "round";
    context.beginPath();
    const from = points[Math.max(at - 1, 0)];
    context.moveTo(from.x, from.y);
    context.lineTo(points[at].x, points[at].y);
    context.stroke();
    context.globalCompositeOperation = "source-over";
    return undefined;
  }
}
