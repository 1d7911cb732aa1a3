/**
 * Values of JSON as literals of Python.
 */

const NAMES = new Map([[true, "True"], [false, "False"], [null, "None"]]);
const INDENT = "    ";
const SHORT_CHARS = 60;

/**
 * @param {unknown} value of JSON
 * @param {number} [depth] how far the line is indented that it begins in
 * @returns {string}
 */
export function toPythonLiteral(value, depth = 0) {
  if (NAMES.has(value)) return NAMES.get(value);
  if (typeof value === "number") return String(value);
  // Python reads all escapes of JSON alike, also that of half a surrogate pair.
  if (typeof value === "string") return JSON.stringify(value);
  const isList = Array.isArray(value);
  const [open, close] = isList ? "[]" : "{}";
  const items = Object.entries(value).filter(([, each]) => each !== undefined).map(([name, each]) =>
    `${isList ? "" : `${JSON.stringify(name)}: `}${toPythonLiteral(each, depth + 1)}`);
  const line = `${open}${items.join(", ")}${close}`;
  if (line.length <= SHORT_CHARS && !line.includes("\n")) return line;
  const inside = INDENT.repeat(depth + 1);
  return `${open}\n${items.map((item) => `${inside}${item},\n`).join("")}${INDENT.repeat(depth)}${close}`;
}
