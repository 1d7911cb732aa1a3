/**
 * A formula as MathML, which browsers draw themselves. The library is loaded with the first one.
 */
import {createElement, useEffect, useRef} from "../html.js";

const MAX_CHARS = 5000;

/** @param {{source: string, isBlock: boolean}} props `source`: LaTeX */
export function Formula({source, isBlock}) {
  const place = useRef(null);
  useEffect(() => {
    let isCurrent = true;
    if (source.length <= MAX_CHARS) drawIn(place, source, isBlock, () => isCurrent);
    return () => {
      isCurrent = false;
    };
  }, [source, isBlock]);
  // Preact draws the source into one element and the library into another, so that neither removes the other's nodes.
  return createElement(
    isBlock ? "div" : "span",
    {class: isBlock ? "formula formula-block" : "formula"},
    createElement("span", {ref: place, key: source}, source),
  );
}

async function drawIn(place, source, isBlock, isCurrent) {
  try {
    const {default: temml} = await import("../../vendor/temml.js");
    if (!isCurrent() || !place.current) return;
    const drawn = document.createElement("span");
    temml.render(source, drawn, {displayMode: isBlock, throwOnError: true, trust: false, maxSize: [20, 20]});
    place.current.replaceChildren(drawn);
  } catch {
    // What is no formula, or an incomplete one, stays text.
  }
}
