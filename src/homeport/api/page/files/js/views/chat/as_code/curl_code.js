/**
 * A request as a command for curl. The body is a here-document, in which nothing has to be quoted: no line of JSON is
 * its end mark, because texts in JSON begin with a quotation mark and have no line ends.
 */

/**
 * @param {import("./request_code.js").Program} program
 * @returns {string}
 */
export function toCurl({baseUrl, body, needsKey}) {
  const lines = [
    `curl ${body.stream ? "--no-buffer " : ""}${quoted(`${baseUrl}/chat/completions`)} \\`,
    ...(needsKey ? ['  -H "Authorization: Bearer $OPENAI_API_KEY" \\'] : []),
    "  -H 'Content-Type: application/json' \\",
    "  --data-binary @- <<'JSON'",
    JSON.stringify(body, null, 2),
    "JSON",
  ];
  return `${lines.join("\n")}\n`;
}

/** Quote a word for the shell. */
function quoted(word) {
  return /^[\w:/.-]+$/.test(word) ? word : `'${word.replace(/'/g, "'\\''")}'`;
}
