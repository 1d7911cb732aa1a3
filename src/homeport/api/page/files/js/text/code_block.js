/**
 * A block of code with its language and a button that copies it. It is highlighted once it is complete.
 */
import {IconButton} from "../components/button.js";
import {copyText} from "../clipboard.js";
import {html, useEffect, useState} from "../html.js";
import {t} from "../i18n.js";
import {highlight} from "./highlighting.js";

const COPIED_MS = 1500;
const PART_LINES = 40;

/** @param {{code: string, language: string, isClosed: boolean}} props */
export function CodeBlock({code, language, isClosed}) {
  const [parts, setParts] = useState(null);
  const [isCopied, setCopied] = useState(false);
  useEffect(() => {
    let isCurrent = true;
    setParts(null);
    if (isClosed) highlight(code, language).then((tree) => isCurrent && setParts(tree));
    return () => {
      isCurrent = false;
    };
  }, [code, language, isClosed]);
  const copy = async () => {
    if (!(await copyText(code))) return;
    setCopied(true);
    setTimeout(() => setCopied(false), COPIED_MS);
  };
  return html`
    <div class="code-block">
      <div class="code-head">
        <span>${language || t("code.plain")}</span>
        <${IconButton} icon=${isCopied ? "check" : "copy"} label=${isCopied ? t("code.copied") : t("code.copy")}
          onClick=${copy} />
      </div>
      <pre tabindex="0"><code>${parts ? parts.map(part) : isClosed ? code : growing(code)}</code></pre>
    </div>`;
}

/** Code that still grows, in parts of some lines: so the browser lays out again only the last one. */
function growing(code) {
  const lines = code.split("\n");
  if (lines.length <= PART_LINES) return code;
  const count = Math.ceil(lines.length / PART_LINES);
  return Array.from({length: count}, (_, i) => html`
    <span key=${i} class="code-part">${lines.slice(i * PART_LINES, (i + 1) * PART_LINES).join("\n")}</span>`);
}

/** @param {string | {scope?: string, children: any[]}} node */
function part(node, i) {
  if (typeof node === "string") return node;
  const name = node.scope ? `code-${node.scope.split(".")[0]}` : undefined;
  return html`<span key=${i} class=${name}>${node.children.map(part)}</span>`;
}
