/**
 * Lines of the log in chunks, so that a new line redraws one of them, and which lines are selected.
 */

/**
 * @typedef {object} Line
 * @property {number} id
 * @property {number} time seconds since 1970
 * @property {string} level
 * @property {string} logger
 * @property {string} message
 * @property {string | null} trace
 * @property {number} [missed] in place of so many lines that are lost
 *
 * @typedef {{id: number, lines: Line[]}} Chunk
 *
 * @typedef {object} Filter
 * @property {string} level the lowest
 * @property {string} source one of `SOURCES`
 * @property {string} text
 */

export const LEVELS = ["debug", "info", "warning", "error"];
export const SOURCES = ["usual", "requests", "workers", "server", "all"];
export const MAX_LINES = 5000;
const CHUNK = 100;
const ACCESS = "homeport.access";
const WORKER = "homeport.worker";
/** Requests of the administration, of probes and of this page, among them those that read the log. */
const OWN = / path=\/(?:admin\/|health|metrics|page\/|\s|$)/;

let count = 0;
/** The lines of a chunk that a filter selected last. */
const selected = new WeakMap();

/**
 * Add lines at the end, and leave out the oldest beyond `MAX_LINES`.
 *
 * @param {Chunk[]} chunks
 * @param {Line[]} lines
 * @returns {Chunk[]} full chunks stay the same objects
 */
export function addLines(chunks, lines) {
  const added = [...chunks];
  const last = added.at(-1);
  let at = 0;
  if (last && last.lines.length < CHUNK) {
    at = CHUNK - last.lines.length;
    added[added.length - 1] = {id: last.id, lines: [...last.lines, ...lines.slice(0, at)]};
  }
  for (; at < lines.length; at += CHUNK) added.push({id: ++count, lines: lines.slice(at, at + CHUNK)});
  const allowed = MAX_LINES / CHUNK;
  return added.length > allowed ? added.slice(-allowed) : added;
}

/**
 * Return the lines of a chunk that a filter selects: the same array for the same filter.
 *
 * @param {Line[]} lines
 * @param {Filter} filter an object that stays the same until it changes
 * @returns {Line[]}
 */
export function selectLines(lines, filter) {
  const known = selected.get(lines);
  if (known?.filter === filter) return known.lines;
  const text = filter.text.trim().toLowerCase();
  const lowest = LEVELS.indexOf(filter.level);
  const found = lines.filter((line) => line.missed || (
    LEVELS.indexOf(line.level) >= lowest && isFrom(line, filter.source)
    && (!text || `${line.logger} ${line.message} ${line.trace ?? ""}`.toLowerCase().includes(text))));
  selected.set(lines, {filter, lines: found});
  return found;
}

function isFrom({logger, message}, source) {
  const isOwn = logger === ACCESS && OWN.test(message);
  if (source === "all") return true;
  if (source === "requests") return logger === ACCESS && !isOwn;
  if (source === "workers") return logger === WORKER;
  if (source === "server") return logger !== ACCESS && logger !== WORKER;
  return !isOwn;
}

/**
 * Return lines as text, as the server's own log has them.
 *
 * @param {Line[]} lines
 */
export function textOf(lines) {
  const whole = lines.filter((line) => !line.missed);
  return whole.map(({time, level, logger, message, trace}) => {
    const head = `${new Date(time * 1000).toISOString()} ${level.toUpperCase()} ${logger}: ${message}`;
    return trace ? `${head}\n${trace}` : head;
  }).join("\n");
}
