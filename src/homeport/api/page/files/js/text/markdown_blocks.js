/**
 * Markdown that grows: the blocks of a text, of which only the last one may still change.
 *
 * A streamed answer is parsed from its last block on, so that a long answer costs no more per piece than a short one.
 */
import {parseMarkdown} from "./markdown_parser.js";

/** @typedef {{text: string, isClosed: boolean}} Block */

/** The blocks of one growing text. */
export class MarkdownBlocks {
  #text = "";
  #begin = 0;
  /** @type {Block[]} */
  #closed = [];

  /**
   * Return the blocks of a text. It is the last text with more at its end, or any other one.
   *
   * @param {string} text
   * @param {boolean} isWhole whether no more follows
   * @returns {Block[]}
   */
  update(text, isWhole) {
    if (!text.startsWith(this.#text)) {
      this.#begin = 0;
      this.#closed = [];
    }
    this.#text = text;
    const rest = text.slice(this.#begin);
    const begin = beginOfLastBlock(rest);
    if (begin > 0) {
      this.#closed.push(...blocksOf(rest.slice(0, begin)));
      this.#begin += begin;
    }
    const last = text.slice(this.#begin);
    return last.trim() ? [...this.#closed, {text: last, isClosed: isWhole}] : [...this.#closed];
  }
}

/** @returns {Block[]} */
function blocksOf(text) {
  const begins = beginsOf(text);
  return begins.map((begin, i) => ({text: text.slice(begin, begins[i + 1]), isClosed: true}));
}

function beginOfLastBlock(text) {
  return beginsOf(text).at(-1) ?? 0;
}

/** Return where the blocks of a text begin. The first one takes what is before it. */
function beginsOf(text) {
  const lines = [0];
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) lines.push(at + 1);
  const tokens = parseMarkdown(text).filter((token) => token.level === 0 && token.nesting >= 0 && token.map);
  return tokens.map((token, i) => (i ? lines[token.map[0]] : 0));
}
