/**
 * Draws a shape on a canvas by WebGL 2: triangles with flat shading, or points. Knows nothing of files and of the page.
 */

const VERTEX = `#version 300 es
uniform mat4 place;
uniform float pointSize;
in vec3 position;
in vec3 color;
out vec3 at;
out vec3 tint;
void main() {
  gl_Position = place * vec4(position, 1.0);
  gl_PointSize = pointSize / gl_Position.w;
  at = position;
  tint = color;
}`;
// Two lights from opposite sides, so that no face is black; a point has no face.
const FRAGMENT = `#version 300 es
precision highp float;
uniform bool isShaded;
uniform vec3 light;
in vec3 at;
in vec3 tint;
out vec4 result;
void main() {
  float shade = 1.0;
  if (isShaded) {
    vec3 normal = normalize(cross(dFdx(at), dFdy(at)));
    shade = 0.55 + 0.45 * dot(normal, light);
  }
  result = vec4(pow(tint * shade, vec3(1.0 / 2.2)), 1.0);  // the colors of the file are linear
}`;
const FIELD_OF_VIEW = 0.7;
const [NEAR, FAR] = [0.1, 20];
const POINT_SHARE = 0.012;

/** One shape on one canvas. */
export class Renderer {
  #gl;
  #program;
  #count;
  #isMesh;
  #center;
  #radius;

  /**
   * @param {HTMLCanvasElement} canvas
   * @param {import("./glb.js").Shape} shape
   * @throws {Error} if the browser cannot draw
   */
  constructor(canvas, {positions, colors, indices}) {
    const gl = canvas.getContext("webgl2", {antialias: true});
    if (!gl) throw new Error("no WebGL 2");
    this.#gl = gl;
    this.#program = linkProgram(gl);
    this.#isMesh = indices !== null;
    this.#count = indices?.length ?? positions.length / 3;
    [this.#center, this.#radius] = boundsOf(positions);
    fillAttribute(gl, this.#program, "position", positions);
    fillAttribute(gl, this.#program, "color", colors);
    if (indices) {
      gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, gl.createBuffer());
      gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, indices, gl.STATIC_DRAW);
    }
    gl.enable(gl.DEPTH_TEST);
    gl.useProgram(this.#program);
  }

  /** @param {{yaw: number, pitch: number, distance: number}} camera angles in radians; the distance in radii */
  draw({yaw, pitch, distance}) {
    const gl = this.#gl;
    const {width, height} = gl.canvas;
    const uniform = (name) => gl.getUniformLocation(this.#program, name);
    const eye = [Math.sin(yaw) * Math.cos(pitch), Math.sin(pitch), Math.cos(yaw) * Math.cos(pitch)];
    gl.viewport(0, 0, width, height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    gl.uniformMatrix4fv(uniform("place"), false, multiply(
      perspective(width / height), viewFrom(eye, distance, this.#center, this.#radius)));
    gl.uniform3fv(uniform("light"), eye);
    gl.uniform1f(uniform("pointSize"), height * POINT_SHARE * distance);
    gl.uniform1i(uniform("isShaded"), Number(this.#isMesh));
    if (this.#isMesh) gl.drawElements(gl.TRIANGLES, this.#count, gl.UNSIGNED_INT, 0);
    else gl.drawArrays(gl.POINTS, 0, this.#count);
  }

  /** Give the graphics memory back. */
  close() {
    this.#gl.getExtension("WEBGL_lose_context")?.loseContext();
  }
}

function linkProgram(gl) {
  const program = gl.createProgram();
  for (const [kind, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(program));
  return program;
}

function fillAttribute(gl, program, name, values) {
  const place = gl.getAttribLocation(program, name);
  gl.bindBuffer(gl.ARRAY_BUFFER, gl.createBuffer());
  gl.bufferData(gl.ARRAY_BUFFER, values, gl.STATIC_DRAW);
  gl.enableVertexAttribArray(place);
  gl.vertexAttribPointer(place, 3, gl.FLOAT, false, 0, 0);
}

/** Return the center of the box around all points, and the radius of the sphere around that box. */
function boundsOf(positions) {
  const [low, high] = [[Infinity, Infinity, Infinity], [-Infinity, -Infinity, -Infinity]];
  positions.forEach((value, i) => {
    low[i % 3] = Math.min(low[i % 3], value);
    high[i % 3] = Math.max(high[i % 3], value);
  });
  const center = low.map((value, axis) => (value + high[axis]) / 2);
  return [center, Math.hypot(...low.map((value, axis) => (high[axis] - value) / 2)) || 1];
}

/** The matrices are by columns, as WebGL reads them. */
function perspective(aspect) {
  const f = 1 / Math.tan(FIELD_OF_VIEW / 2);
  const depth = 1 / (NEAR - FAR);
  const [x, y] = aspect < 1 ? [f, f * aspect] : [f / aspect, f];
  return [x, 0, 0, 0, 0, y, 0, 0, 0, 0, (NEAR + FAR) * depth, -1, 0, 0, 2 * NEAR * FAR * depth, 0];
}

/** Return the matrix that moves the shape to the middle, scales it to radius 1, and looks at it from `eye`. */
function viewFrom(eye, distance, center, radius) {
  const right = normalize([eye[2], 0, -eye[0]]);
  const up = cross(eye, right);
  const row = (axis) => axis.map((value) => value / radius);
  const [r, u, b] = [row(right), row(up), row(eye)];
  const shift = (axis) => -dot(axis, center);
  return [
    r[0], u[0], b[0], 0, r[1], u[1], b[1], 0, r[2], u[2], b[2], 0, shift(r), shift(u), shift(b) - distance, 1,
  ];
}

function multiply(a, b) {
  const product = (i) => [0, 1, 2, 3].reduce((sum, k) => sum + a[k * 4 + (i % 4)] * b[Math.floor(i / 4) * 4 + k], 0);
  return Array.from({length: 16}, (_, i) => product(i));
}

function dot(a, b) {
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

function cross(a, b) {
  return [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
}

function normalize(vector) {
  const length = Math.hypot(...vector) || 1;
  return vector.map((value) => value / length);
}
