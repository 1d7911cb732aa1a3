/**
 * The JSON Schema that a person pastes, as the field `response_format` of a request. Accepts the schema alone, with a
 * name, or as `response_format` itself.
 */
import {t} from "../../../i18n.js";
import {isObject, parseJson, TextError} from "./json_text.js";

/** What the example button puts in. */
export const SCHEMA_EXAMPLE = {
  type: "object",
  properties: {
    name: {type: "string"},
    population: {type: "integer"},
    sights: {type: "array", items: {type: "string"}, maxItems: 3},
  },
  required: ["name", "population", "sights"],
  additionalProperties: false,
};

/**
 * @param {string} text
 * @returns {object | undefined} undefined for an empty text
 * @throws {TextError}
 */
export function parseSchema(text) {
  if (!text.trim()) return undefined;
  const value = parseJson(text);
  if (!isObject(value)) throw new TextError(t("chat.schema_no_object"));
  const named = value.type === "json_schema" ? value.json_schema : value;
  const isNamed = isObject(named) && isObject(named.schema) && typeof named.name === "string";
  if (value.type === "json_schema" && !isNamed) throw new TextError(t("chat.schema_no_schema"));
  return {type: "json_schema", json_schema: isNamed ? named : {name: "answer", strict: true, schema: value}};
}

/**
 * Return the text that `parseSchema` reads as a response format: its schema alone where that says all.
 *
 * @param {any} format
 */
export function showSchema(format) {
  if (format?.type !== "json_schema") return "";
  const {name, strict, schema} = format.json_schema;
  return JSON.stringify(name === "answer" && strict === true ? schema : format.json_schema, null, 2);
}
