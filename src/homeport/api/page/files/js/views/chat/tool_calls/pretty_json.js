/**
 * JSON of a model, laid out for reading. What is not complete yet, or no JSON, stays as it is.
 */

/**
 * @param {string} text
 * @returns {{text: string, value: unknown, isJson: boolean}}
 */
export function prettyJson(text) {
  try {
    const value = JSON.parse(text);
    return {text: JSON.stringify(value, null, 2), value, isJson: true};
  } catch {
    return {text, value: undefined, isJson: false};
  }
}
