/**
 * What of a Markdown text is read aloud: no marks, no code, no addresses.
 */

const RULES = [
  [/^(`{3,}|~{3,})[^\n]*\n[\s\S]*?(?:^\1[^\n]*$|$(?![\s\S]))/gm, ""],
  [/!?\[([^\]]*)\]\([^)]*\)/g, "$1"],
  [/https?:\S+/g, ""],
  [/^\s*(?:#{1,6}|>|[-*+])\s+/gm, ""],
  [/^\s*\|?[\s:|-]+\|[\s:|-]*$/gm, ""],
  [/\|/g, ", "],
  [/[*_~`]{1,3}(?=\S)|(?<=\S)[*_~`]{1,3}/g, ""],
  [/\n{3,}/g, "\n\n"],
];

/**
 * @param {string} markdown
 * @returns {string}
 */
export function spokenText(markdown) {
  return RULES.reduce((text, [pattern, by]) => text.replace(pattern, by), markdown).trim();
}
