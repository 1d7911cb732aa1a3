/**
 * The Markdown parser, with formulas and without HTML: what looks like a tag is text.
 */
import markdownIt from "../../vendor/markdown-it.js";
import {formulaRules} from "./formula_rules.js";

const parser = markdownIt({html: false, linkify: true}).use(formulaRules);
parser.linkify.set({fuzzyLink: false, fuzzyEmail: false});

/**
 * @param {string} text
 * @returns {any[]} markdown-it's tokens
 */
export function parseMarkdown(text) {
  return parser.parse(text, {});
}
