/**
 * Compares a value with a JSON Schema, as far as the schemas go that servers bind answers to. Rules that are not
 * known here are passed over. Knows nothing of answers.
 */

const MAX_DEPTH = 200;
const TYPES = {
  object: (value) => isObject(value),
  array: Array.isArray,
  string: (value) => typeof value === "string",
  number: (value) => typeof value === "number",
  integer: (value) => Number.isInteger(value),
  boolean: (value) => typeof value === "boolean",
  null: (value) => value === null,
};

/**
 * Return the place of the first difference, such as `$.list[2].name`; null if there is none, or if the schema is none.
 *
 * @param {unknown} value
 * @param {unknown} schema
 * @returns {string | null}
 */
export function findDifference(value, schema) {
  try {
    return differs(value, schema, {root: schema, place: "$", depth: 0});
  } catch (error) {
    if (error instanceof TypeError) return null; // such as `required` that is no list
    throw error;
  }
}

function differs(value, schema, context) {
  if (schema === true || schema === undefined || context.depth > MAX_DEPTH) return null;
  if (schema === false || !isObject(schema)) return context.place;
  if (!hasType(value, schema.type) || !isListed(value, schema) || !isInRange(value, schema)) return context.place;
  return inCombination(value, schema, context) ?? inside(value, schema, context);
}

function hasType(value, type) {
  const allowed = type === undefined ? [] : [type].flat();
  return !allowed.length || allowed.some((each) => TYPES[each]?.(value) ?? true);
}

function isListed(value, schema) {
  const same = (other) => canonical(other) === canonical(value);
  if ("const" in schema && !same(schema.const)) return false;
  return !Array.isArray(schema.enum) || schema.enum.some(same);
}

function isInRange(value, schema) {
  if (typeof value === "number") {
    const {minimum = -Infinity, maximum = Infinity, exclusiveMinimum = -Infinity, exclusiveMaximum = Infinity} = schema;
    return minimum <= value && value <= maximum && exclusiveMinimum < value && value < exclusiveMaximum;
  }
  if (typeof value === "string") {
    const {minLength = 0, maxLength = Infinity, pattern} = schema;
    const length = [...value].length;
    return minLength <= length && length <= maxLength && matches(value, pattern);
  }
  if (Array.isArray(value)) {
    const {minItems = 0, maxItems = Infinity} = schema;
    return minItems <= value.length && value.length <= maxItems;
  }
  return true;
}

function matches(text, pattern) {
  if (typeof pattern !== "string") return true;
  try {
    return new RegExp(pattern, "u").test(text);
  } catch {
    return true; // another dialect of patterns
  }
}

function inCombination(value, schema, context) {
  const fits = (each) => differs(value, each, deeper(context, "")) === null;
  if (typeof schema.$ref === "string") {
    const difference = differs(value, resolve(schema.$ref, context.root), deeper(context, ""));
    if (difference) return difference;
  }
  for (const each of schema.allOf ?? []) {
    const difference = differs(value, each, deeper(context, ""));
    if (difference) return difference;
  }
  if (Array.isArray(schema.anyOf) && !schema.anyOf.some(fits)) return context.place;
  if (Array.isArray(schema.oneOf) && schema.oneOf.filter(fits).length !== 1) return context.place;
  return "not" in schema && fits(schema.not) ? context.place : null;
}

function inside(value, schema, context) {
  if (isObject(value)) return inObject(value, schema, context);
  if (!Array.isArray(value)) return null;
  const first = schema.prefixItems ?? [];
  return firstOf(value.keys(), (i) => differs(value[i], first[i] ?? schema.items, deeper(context, `[${i}]`)));
}

function inObject(value, schema, context) {
  const {properties = {}, patternProperties = {}, required = [], additionalProperties} = schema;
  const missing = required.find((name) => !Object.hasOwn(value, name));
  if (missing !== undefined) return `${context.place}.${missing}`;
  return firstOf(Object.keys(value), (name) => {
    const rules = [
      ...(Object.hasOwn(properties, name) ? [properties[name]] : []),
      ...Object.keys(patternProperties).filter((each) => matches(name, each)).map((each) => patternProperties[each]),
    ];
    const all = rules.length ? rules : [additionalProperties];
    return firstOf(all, (rule) => differs(value[name], rule, deeper(context, `.${name}`)));
  });
}

/** Return the first result that is not null. */
function firstOf(items, find) {
  for (const item of items) {
    const found = find(item);
    if (found !== null) return found;
  }
  return null;
}

/** Return what a reference inside the schema leads to; true, which fits everything, for any other. */
function resolve(reference, root) {
  if (!reference.startsWith("#")) return true;
  const decode = (name) => decodeURI(name).replace(/~1/g, "/").replace(/~0/g, "~");
  const names = reference.split("/").slice(1).map(decode);
  return names.reduce((at, name) => at?.[name], root) ?? true;
}

function deeper({root, place, depth}, step) {
  return {root, place: place + step, depth: depth + 1};
}

function canonical(value) {
  if (!isObject(value)) return Array.isArray(value) ? `[${value.map(canonical)}]` : JSON.stringify(value);
  return `{${Object.keys(value).sort().map((name) => `${JSON.stringify(name)}:${canonical(value[name])}`)}}`;
}

function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
