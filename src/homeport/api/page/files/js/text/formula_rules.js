/**
 * Rules by which the Markdown parser finds formulas: `$…$` and `\(…\)` in a line, `$$…$$` and `\[…\]` as a block.
 */

const INLINE = [["\\(", "\\)"], ["$$", "$$"], ["\\[", "\\]"], ["$", "$"]];
const BLOCK = [["$$", "$$"], ["\\[", "\\]"]];

/** @param {any} parser markdown-it, to which the rules are added */
export function formulaRules(parser) {
  parser.inline.ruler.before("escape", "formula", inlineRule);
  parser.block.ruler.before("fence", "formula", blockRule, {alt: ["paragraph", "blockquote", "list"]});
}

function inlineRule(state, isSilent) {
  const {src, pos} = state;
  const [open, close] = INLINE.find(([mark]) => src.startsWith(mark, pos)) ?? [];
  if (!open) return false;
  const end = src.indexOf(close, pos + open.length);
  const content = src.slice(pos + open.length, end);
  if (end < 0 || !content.trim() || (open === "$" && isMoney(content, src[end + 1]))) return false;
  const isBlock = open !== "$" && open !== "\\(";
  if (!isSilent) Object.assign(state.push("formula", "", 0), {content, meta: {isBlock}});
  state.pos = end + close.length;
  return true;
}

/** Whether a pair of dollar signs is two amounts of money: a space inside, or a digit after it. */
function isMoney(content, next) {
  return /^\s|\s$|\n\n/.test(content) || /\d/.test(next ?? "");
}

function blockRule(state, startLine, endLine, isSilent) {
  const begin = state.bMarks[startLine] + state.tShift[startLine];
  const [open, close] = BLOCK.find(([mark]) => state.src.startsWith(mark, begin)) ?? [];
  if (!open) return false;
  const end = state.src.indexOf(close, begin + open.length);
  if (end < 0 || end > state.eMarks[endLine - 1]) return false;
  let line = startLine;
  while (state.eMarks[line] < end) line += 1;
  if (state.src.slice(end + close.length, state.eMarks[line]).trim()) return false;
  if (isSilent) return true;
  const content = state.src.slice(begin + open.length, end);
  Object.assign(state.push("formula", "", 0), {content, map: [startLine, line + 1], meta: {isBlock: true}});
  state.line = line + 1;
  return true;
}
