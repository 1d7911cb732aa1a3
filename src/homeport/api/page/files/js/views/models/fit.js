/**
 * Whether a model fits into this machine's memory, as a tag.
 */
import {html} from "../../html.js";
import {fitOf} from "./facts.js";

/**
 * @param {object} props
 * @param {import("./library.js").LibraryModel} props.model
 * @param {import("./library.js").Memory} props.memory
 */
export function Fit({model, memory}) {
  const {level, text, title} = fitOf(model, memory);
  return html`<span class="tag fit-${level ?? "unknown"}" title=${title}>${text}</span>`;
}
