/**
 * Finds the parts of code that are shown in colors. A language is loaded when code in it is shown first.
 */

const MAX_CHARS = 50_000;
const NAMES = [
  "bash", "c", "cpp", "csharp", "css", "diff", "dockerfile", "go", "ini", "java", "javascript", "json", "kotlin",
  "markdown", "php", "python", "ruby", "rust", "shell", "sql", "swift", "typescript", "xml", "yaml",
];
const ALIASES = {
  "c++": "cpp", "c#": "csharp", cs: "csharp", console: "shell", docker: "dockerfile", golang: "go", html: "xml",
  h: "c", js: "javascript", jsonl: "json", jsx: "javascript", kt: "kotlin", md: "markdown", patch: "diff", py: "python",
  python3: "python", rb: "ruby", rs: "rust", sh: "bash", svg: "xml", toml: "ini", ts: "typescript", tsx: "typescript",
  yml: "yaml", zsh: "bash",
};

/**
 * Return code as a tree of parts: strings, and nodes with a scope and children; null if the language is unknown.
 *
 * @param {string} code
 * @param {string} language as a model names it
 */
export async function highlight(code, language) {
  const asked = language.toLowerCase();
  const name = ALIASES[asked] ?? asked;
  if (!NAMES.includes(name) || code.length > MAX_CHARS) return null;
  try {
    const [{default: library}, {default: grammar}] = await Promise.all([
      import("../../vendor/highlight/core.js"),
      import(`../../vendor/highlight/${name}.js`),
    ]);
    if (!library.getLanguage(name)) library.registerLanguage(name, grammar);
    // The library's own output is HTML; its tree is the same before that step.
    return library.highlight(code, {language: name, ignoreIllegals: true})._emitter.rootNode.children;
  } catch {
    return null; // the code is shown without colors
  }
}
