/**
 * Sentences in which names and commands stand between backticks, as the server and the dictionaries write them.
 */
import {html} from "../html.js";

/**
 * Return a text with its backticked parts as code.
 *
 * @param {string | undefined} text
 */
export function prose(text) {
  if (!text?.includes("`")) return text;
  return text.split("`").map((part, i) => (i % 2 ? html`<code key=${i}>${part}</code>` : part));
}
