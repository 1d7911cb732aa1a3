/**
 * Changes of the chat's settings as values. Knows nothing of how they are shown or kept.
 */

/**
 * @typedef {object} Settings
 * @property {string} model
 * @property {string} system
 * @property {Record<string, any>} fields what is sent besides the messages: only what was set
 */

/**
 * Return settings with a field set, or without it.
 *
 * @param {Settings} settings
 * @param {string} name
 * @param {unknown} value undefined removes the field
 * @returns {Settings}
 */
export function withField(settings, name, value) {
  const {[name]: _, ...others} = settings.fields;
  return {...settings, fields: value === undefined ? others : {...others, [name]: value}};
}

/**
 * Return settings with nothing set but the model.
 *
 * @param {Settings} settings
 * @returns {Settings}
 */
export function withoutAll(settings) {
  return {...settings, system: "", fields: {}};
}

/** @param {Settings} settings how many of them are set, besides the model */
export function countSet({system, fields}) {
  const dependent = ["top_logprobs", "tool_choice", "parallel_tool_calls"];
  return (system.trim() ? 1 : 0) + Object.keys(fields).filter((name) => !dependent.includes(name)).length;
}

/**
 * Read settings that were kept as text. What is not understood counts as not set.
 *
 * @param {string | null} text
 * @returns {{system: string, fields: Record<string, any>}}
 */
export function readStored(text) {
  try {
    const {system, fields} = JSON.parse(text ?? "{}");
    const isKnown = typeof fields === "object" && fields !== null && !Array.isArray(fields);
    return {system: typeof system === "string" ? system : "", fields: isKnown ? fields : {}};
  } catch {
    return {system: "", fields: {}};
  }
}
