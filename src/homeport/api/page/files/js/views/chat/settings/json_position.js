/**
 * Finds where a text stops being JSON. Browsers check JSON themselves, but do not all say where it is wrong.
 */

const SPACE = /[ \t\n\r]*/y;
const STRING = /"(?:[^"\\\0-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
const SCALAR = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y;

/**
 * @param {string} text
 * @returns {number} the index of the first character that cannot stand there; the text's length if more has to follow
 */
export function findJsonError(text) {
  const reader = {text, at: 0};
  const isWhole = readValue(reader) && skipSpace(reader);
  return isWhole || reader.at < text.length ? reader.at : text.length;
}

/** Read on by a pattern; false if the text does not fit. */
function read(reader, pattern) {
  pattern.lastIndex = reader.at;
  const found = pattern.test(reader.text);
  if (found) reader.at = pattern.lastIndex;
  return found;
}

function skipSpace(reader) {
  return read(reader, SPACE);
}

function readMark(reader, mark) {
  skipSpace(reader);
  if (reader.text[reader.at] !== mark) return false;
  reader.at++;
  return true;
}

function readValue(reader) {
  if (readMark(reader, "{")) return readItems(reader, "}", readMember);
  if (readMark(reader, "[")) return readItems(reader, "]", readValue);
  return read(reader, STRING) || read(reader, SCALAR);
}

function readItems(reader, end, readItem) {
  if (readMark(reader, end)) return true;
  do {
    if (!readItem(reader)) return false;
  } while (readMark(reader, ","));
  return readMark(reader, end);
}

function readMember(reader) {
  skipSpace(reader);
  return read(reader, STRING) && readMark(reader, ":") && readValue(reader);
}
