/**
 * Files of text as parts of a message: a block with the file's name. Knows how to find such parts again.
 */

const LANGUAGES = {
  c: "c", cpp: "cpp", cs: "csharp", css: "css", csv: "csv", diff: "diff", go: "go", h: "c", html: "html", ini: "ini",
  java: "java", js: "javascript", json: "json", jsonl: "json", kt: "kotlin", md: "markdown", php: "php", py: "python",
  rb: "ruby", rs: "rust", sh: "bash", sql: "sql", swift: "swift", toml: "toml", ts: "typescript", xml: "xml",
  yaml: "yaml", yml: "yaml",
};
const BLOCK = /^(?<name>[^\n]{1,255}):\n(?<fence>`{3,})(?<language>[a-z]*)\n(?<text>[\s\S]*)\n\k<fence>\n\n$/;
const CONTROLS = /[\0-\x08\x0e-\x1a\x1c-\x1f]/;

/**
 * Decode a file's bytes: UTF-8, UTF-16 with its mark, or the encoding of old Chinese files.
 *
 * @param {Uint8Array} bytes
 * @returns {string | null} null: it is no text
 */
export function decodeText(bytes) {
  const mark = (bytes[0] << 8) | bytes[1];
  const encodings = mark === 0xfffe ? ["utf-16le"] : mark === 0xfeff ? ["utf-16be"] : ["utf-8", "gb18030"];
  for (const encoding of encodings) {
    try {
      const text = new TextDecoder(encoding, {fatal: true}).decode(bytes);
      return CONTROLS.test(text) ? null : text.replace(/\r\n?/g, "\n");
    } catch {
      // another encoding
    }
  }
  return null;
}

/**
 * @param {string} name
 * @param {string} text
 * @returns {{type: "text", text: string}} the part of a message
 */
export function toTextPart(name, text) {
  const longest = Math.max(2, ...(text.match(/`+/g) ?? []).map((run) => run.length));
  const fence = "`".repeat(longest + 1);
  const language = LANGUAGES[name.split(".").at(-1).toLowerCase()] ?? "";
  return {type: "text", text: `${oneLine(name)}:\n${fence}${language}\n${text.replace(/\n$/, "")}\n${fence}\n\n`};
}

/**
 * Find the file in a part that `toTextPart` made.
 *
 * @param {any} part
 * @returns {{name: string, language: string, text: string} | null} null: it is what a person wrote
 */
export function readTextPart(part) {
  const {name, language, text} = (part?.type === "text" && BLOCK.exec(part.text)?.groups) || {};
  return name === undefined ? null : {name, language, text};
}

/**
 * Return the text that a person wrote in a message, without what is attached.
 *
 * @param {string | any[] | null | undefined} content
 */
export function writtenText(content) {
  if (!Array.isArray(content)) return content ?? "";
  return content.filter((part) => part.type === "text" && !readTextPart(part)).map((part) => part.text).join("");
}

/**
 * Return content with another text and the same attachments.
 *
 * @param {string | any[] | null} content
 * @param {string} text
 */
export function withText(content, text) {
  if (!Array.isArray(content)) return text;
  const attached = content.filter((part) => part.type !== "text" || readTextPart(part));
  return attached.length ? [...attached, ...(text ? [{type: "text", text}] : [])] : text;
}

function oneLine(name) {
  return name.replace(/\s+/g, " ").slice(0, 255);
}
