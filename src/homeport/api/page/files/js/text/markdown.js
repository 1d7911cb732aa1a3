/**
 * Markdown whose parser is loaded when it is needed first. Until it is there, the text is shown as it is.
 */
import {html, useEffect, useState} from "../html.js";

/** @type {Function | null} */
let loaded = null;

/** Load the parser, so that the first text need not wait for it. */
export async function preloadMarkdown() {
  try {
    loaded ??= (await import("./markdown_elements.js")).MarkdownElements;
  } catch {
    // The text stays as it is; the next one tries again.
  }
}

/** @param {{text: string, isWhole?: boolean}} props as those of `MarkdownElements` */
export function Markdown(props) {
  const [, draw] = useState(0);
  const isMissing = !loaded;
  useEffect(() => {
    if (!isMissing) return undefined;
    let isShown = true;
    preloadMarkdown().then(() => isShown && draw((count) => count + 1));
    return () => {
      isShown = false;
    };
  }, [isMissing]);
  return loaded ? html`<${loaded} ...${props} />` : html`<div class="markdown markdown-plain">${props.text}</div>`;
}
