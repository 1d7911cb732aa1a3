/**
 * A request as a program for OpenAI's library for Python, as it is since 2023's end (1.0) and as it was before (0.28).
 */
import {toPythonLiteral} from "./python_literal.js";

/** The parameters of `create` in all versions since 1.40; others are sent by `extra_body`. */
const PARAMETERS = new Set([
  "frequency_penalty", "function_call", "functions", "logit_bias", "logprobs", "max_tokens", "messages", "model", "n",
  "parallel_tool_calls", "presence_penalty", "response_format", "seed", "stop", "stream", "stream_options",
  "temperature", "tool_choice", "tools", "top_logprobs", "top_p", "user",
]);

/**
 * @param {import("./request_code.js").Program} program
 * @returns {string} for openai 1.0 and later
 */
export function toPython({baseUrl, body, needsKey}) {
  const own = Object.entries(body).filter(([name]) => PARAMETERS.has(name));
  const extra = Object.entries(body).filter(([name]) => !PARAMETERS.has(name));
  const all = extra.length ? [...own, ["extra_body", Object.fromEntries(extra)]] : own;
  const client = needsKey
    ? ["# The key comes from the environment: OPENAI_API_KEY.", `client = OpenAI(base_url=${toPythonLiteral(baseUrl)})`]
    : [`client = OpenAI(base_url=${toPythonLiteral(baseUrl)}, api_key="unused")`];
  const lines = ["from openai import OpenAI", "", ...client, ""];
  if (body.stream) {
    lines.push(`stream = client.chat.completions.create(${toArguments(all)})`, "for chunk in stream:",
      "    if chunk.choices:", '        print(chunk.choices[0].delta.content or "", end="", flush=True)', "print()");
  } else {
    const path = `.choices[0].message${hasTools(body) ? "" : ".content"}`;
    lines.push(`completion = client.chat.completions.create(${toArguments(all)})`, `print(completion${path})`);
  }
  return `${lines.join("\n")}\n`;
}

/**
 * @param {import("./request_code.js").Program} program
 * @returns {string} for openai 0.28
 */
export function toPython2023({baseUrl, body, needsKey}) {
  const key = needsKey ? 'os.environ["OPENAI_API_KEY"]' : '"unused"';
  const lines = [
    ...(needsKey ? ["import os", ""] : []), "import openai", "", `openai.api_base = ${toPythonLiteral(baseUrl)}`,
    `openai.api_key = ${key}`, "",
  ];
  const call = `openai.ChatCompletion.create(${toArguments(Object.entries(body))})`;
  if (body.stream) {
    lines.push(`stream = ${call}`, "for chunk in stream:", '    for choice in chunk["choices"]:',
      '        print(choice["delta"].get("content") or "", end="", flush=True)', "print()");
  } else {
    const path = `["choices"][0]["message"]${hasTools(body) ? "" : '["content"]'}`;
    lines.push(`completion = ${call}`, `print(completion${path})`);
  }
  return `${lines.join("\n")}\n`;
}

function toArguments(entries) {
  return `\n${entries.map(([name, value]) => `    ${name}=${toPythonLiteral(value, 1)},\n`).join("")}`;
}

function hasTools({tools, functions}) {
  return Boolean(tools?.length || functions?.length);
}
