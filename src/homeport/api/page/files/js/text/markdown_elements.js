/**
 * Text of a model as elements. Nothing is ever parsed as HTML: the parser's tokens become elements of a fixed list,
 * and only links to web and mail addresses become links.
 */
import {createElement, html, useMemo, useRef} from "../html.js";
import {CodeBlock} from "./code_block.js";
import {Formula} from "./formula.js";
import {MarkdownBlocks} from "./markdown_blocks.js";
import {parseMarkdown} from "./markdown_parser.js";

const ELEMENTS = new Set(
  ["p", "ul", "ol", "li", "blockquote", "strong", "em", "s", "table", "thead", "tbody", "tr", "th", "td", "hr"],
);
const FIRST_HEADING = 2; // the page has the first two levels
const LINK = /^(https?:\/\/|mailto:)/i;

/**
 * @param {object} props
 * @param {string} props.text
 * @param {boolean} [props.isWhole] whether no more text follows
 */
export function MarkdownElements({text, isWhole = true}) {
  const blocks = useRef(null);
  blocks.current ??= new MarkdownBlocks();
  return html`
    <div class="markdown">
      ${blocks.current.update(text, isWhole).map((block, i) => html`<${BlockView} key=${i} ...${block} />`)}
    </div>`;
}

/** One block. Equal text gives the same elements, which are not compared again. */
function BlockView({text, isClosed}) {
  return useMemo(() => toElements(parseMarkdown(text), isClosed), [text, isClosed]);
}

/** Turn markdown-it's flat list of tokens into a tree of elements. */
function toElements(tokens, isClosed) {
  const stack = [{tag: "", attributes: null, children: []}];
  for (const token of tokens) {
    if (token.nesting > 0) {
      stack.push({...opened(token), children: []});
    } else if (token.nesting < 0) {
      const {tag, attributes, children} = stack.pop();
      stack.at(-1).children.push(tag ? createElement(tag, attributes, ...children) : children);
    } else {
      stack.at(-1).children.push(leaf(token, isClosed));
    }
  }
  return stack[0].children;
}

/** Return the element of an opening token; one without a tag adds nothing around its children. */
function opened(token) {
  if (token.hidden) return {tag: "", attributes: null};
  if (token.type === "link_open") return link(token.attrGet("href"));
  const level = /^h([1-6])$/.exec(token.tag)?.[1];
  if (level) return {tag: `h${Math.min(Number(level) + FIRST_HEADING, 6)}`, attributes: null};
  if (!ELEMENTS.has(token.tag)) return {tag: "", attributes: null};
  const align = /text-align:(left|center|right)/.exec(token.attrGet("style") ?? "")?.[1];
  const start = token.tag === "ol" ? token.attrGet("start") : null;
  return {tag: token.tag, attributes: {...(align && {class: `align-${align}`}), ...(start !== null && {start})}};
}

function link(address) {
  if (!LINK.test(address ?? "")) return {tag: "", attributes: null};
  return {tag: "a", attributes: {href: address, target: "_blank", rel: "noopener noreferrer nofollow"}};
}

function leaf(token, isClosed) {
  switch (token.type) {
    case "inline": return toElements(token.children, isClosed);
    case "fence":
    case "code_block":
      return createElement(CodeBlock, {code: token.content, language: token.info.trim().split(/\s+/)[0], isClosed});
    case "code_inline": return createElement("code", null, token.content);
    case "softbreak": return "\n";
    case "hardbreak": return createElement("br", null);
    case "hr": return createElement("hr", null);
    case "formula": return createElement(Formula, {source: token.content, isBlock: token.meta.isBlock});
    case "image": return image(token);
    default: return token.content;
  }
}

/** An image of another origin is never loaded, because that would tell its server who reads. */
function image(token) {
  const {tag, attributes} = link(token.attrGet("src"));
  return tag ? createElement(tag, attributes, token.content || attributes.href) : token.content;
}
