/**
 * The tools that a person pastes, as the field `tools` of a request. Accepts the forms that are found in documentation:
 * today's tools, 2023's functions, those of `/v1/responses`, one of them, a list, or a request that has them.
 */
import {t} from "../../../i18n.js";
import {isObject, parseJson, TextError} from "./json_text.js";
import {withField} from "./settings_fields.js";

const MAX_TOOLS = 128;
const NAME = /^[a-zA-Z0-9_-]{1,64}$/;

/** What the example button puts in. */
export const TOOLS_EXAMPLE = [
  {
    type: "function",
    function: {
      name: "get_weather",
      description: "Get the current weather of a city.",
      parameters: {
        type: "object",
        properties: {city: {type: "string"}, unit: {type: "string", enum: ["celsius", "fahrenheit"]}},
        required: ["city", "unit"],
        additionalProperties: false,
      },
    },
  },
];

/**
 * @param {string} text
 * @returns {object[] | undefined} undefined for an empty text, or a list without tools
 * @throws {TextError}
 */
export function parseTools(text) {
  if (!text.trim()) return undefined;
  const value = parseJson(text);
  const inside = isObject(value) ? (value.tools ?? value.functions ?? value) : value;
  const listed = Array.isArray(inside) ? inside : [inside];
  const tools = listed.map((each, i) => toTool(each, i + 1));
  if (tools.length > MAX_TOOLS) throw new TextError(t("chat.tools_too_many", {max: MAX_TOOLS}));
  const names = tools.map(toolName);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice) throw new TextError(t("chat.tools_twice", {name: twice}));
  return tools.length ? tools : undefined;
}

/** @param {any} tool one of `parseTools` */
export function toolName(tool) {
  return tool[tool.type].name;
}

/**
 * Return settings with tools, and without what says how the former ones may be called.
 *
 * @param {import("./settings_fields.js").Settings} settings
 * @param {object[] | undefined} tools
 * @returns {import("./settings_fields.js").Settings}
 */
export function withTools(settings, tools) {
  const changed = withField(settings, "tools", tools);
  const {tool_choice: choice} = settings.fields;
  const isNamed = isObject(choice);
  const isThere = tools && (!isNamed || tools.some((tool) => toolName(tool) === choice[choice.type]?.name));
  const rest = isThere ? changed : withField(changed, "tool_choice", undefined);
  return tools ? rest : withField(rest, "parallel_tool_calls", undefined);
}

function toTool(value, number) {
  if (!isObject(value)) throw new TextError(t("chat.tools_no_object", {number}));
  const tool = wrap(value);
  if (tool.type !== "function" && tool.type !== "custom") {
    throw new TextError(t("chat.tools_type", {number, type: String(tool.type).slice(0, 40)}));
  }
  const declared = tool[tool.type];
  if (!isObject(declared) || typeof declared.name !== "string") throw new TextError(t("chat.tools_no_name", {number}));
  if (!NAME.test(declared.name)) throw new TextError(t("chat.tools_name", {name: declared.name.slice(0, 40)}));
  if (declared.parameters !== undefined && !isObject(declared.parameters)) {
    throw new TextError(t("chat.tools_parameters", {name: declared.name}));
  }
  return tool;
}

/** Return a tool in the form of chats. */
function wrap(value) {
  const {type = "function", ...rest} = value;
  return type in value || (type !== "function" && type !== "custom") ? value : {type, [type]: rest};
}
