/**
 * Reads the binary glTF files that this server makes: one mesh or cloud of points with colors. Knows no elements.
 * Source: glTF 2.0, sections 3.6 and 4.4 (binary buffers, GLB).
 */

const [MAGIC, JSON_CHUNK, BINARY_CHUNK] = [0x46546c67, 0x4e4f534a, 0x004e4942];
const HEADER_BYTES = 12;
const CHUNK_HEADER_BYTES = 8;
const COMPONENTS = {5121: Uint8Array, 5123: Uint16Array, 5125: Uint32Array, 5126: Float32Array};
const WIDTHS = {SCALAR: 1, VEC3: 3, VEC4: 4};
const POINTS = 0;

/**
 * @typedef {object} Shape
 * @property {Float32Array} positions three numbers a point
 * @property {Float32Array} colors three numbers a point, from 0 to 1
 * @property {Uint32Array | null} indices three a triangle; null: points
 */

/**
 * @param {ArrayBuffer} file
 * @returns {Shape}
 * @throws {Error} if it is no such file
 */
export function readGlb(file) {
  const {json, binary} = readChunks(file);
  const primitive = json.meshes?.[0]?.primitives?.[0];
  if (!primitive) throw new Error("no mesh");
  const read = (index) => readAccessor(json, binary, index);
  const positions = Float32Array.from(read(primitive.attributes.POSITION).values);
  const count = positions.length / 3;
  return {
    positions,
    colors: readColors(read, primitive.attributes.COLOR_0, count),
    indices: primitive.mode === POINTS ? null : readIndices(read, primitive.indices, count),
  };
}

function readChunks(file) {
  const view = new DataView(file);
  if (file.byteLength < HEADER_BYTES || view.getUint32(0, true) !== MAGIC) throw new Error("no glTF file");
  const chunks = new Map();
  for (let at = HEADER_BYTES; at + CHUNK_HEADER_BYTES <= file.byteLength;) {
    const [length, kind] = [view.getUint32(at, true), view.getUint32(at + 4, true)];
    chunks.set(kind, new Uint8Array(file, at + CHUNK_HEADER_BYTES, length));
    at += CHUNK_HEADER_BYTES + length;
  }
  if (!chunks.has(JSON_CHUNK) || !chunks.has(BINARY_CHUNK)) throw new Error("an incomplete glTF file");
  return {json: JSON.parse(new TextDecoder().decode(chunks.get(JSON_CHUNK))), binary: chunks.get(BINARY_CHUNK)};
}

/** Return an accessor's numbers. This server writes them without gaps between the elements. */
function readAccessor(json, binary, index) {
  const {bufferView, byteOffset = 0, componentType, count, type, normalized = false} = json.accessors[index];
  const start = binary.byteOffset + (json.bufferViews[bufferView].byteOffset ?? 0) + byteOffset;
  const [Kind, width] = [COMPONENTS[componentType], WIDTHS[type]];
  const bytes = binary.buffer.slice(start, start + count * width * Kind.BYTES_PER_ELEMENT);
  const values = new Kind(bytes);
  const scale = normalized ? 1 / (2 ** (8 * Kind.BYTES_PER_ELEMENT) - 1) : 1;
  return {values, width, scale};
}

/** Without indices, three points in a row are a triangle. */
function readIndices(read, index, count) {
  return index === undefined ? Uint32Array.from({length: count}, (_, i) => i) : Uint32Array.from(read(index).values);
}

function readColors(read, index, count) {
  const colors = new Float32Array(count * 3).fill(0.7);
  if (index === undefined) return colors;
  const {values, width, scale} = read(index);
  for (let i = 0; i < count; i++) {
    for (let c = 0; c < 3; c++) colors[3 * i + c] = values[width * i + c] * scale;
  }
  return colors;
}
