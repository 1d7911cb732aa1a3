/**
 * What is written in a field of the settings, whether it is right or not. Only what is right becomes a setting; the
 * rest stays here, so that it is still there when the panel is opened again.
 */
import {useState} from "../../../html.js";
import {drafts} from "../settings_state.js";
import {TextError} from "./json_text.js";

/**
 * @template T
 * @param {string} name
 * @param {string} shown the setting as text
 * @param {(text: string) => T | undefined} parse throws a TextError
 * @param {(value: T | undefined) => void} onChange undefined: nothing is set, or what is written is not right
 * @returns {{text: string, error: string | undefined, write: (text: string) => void}}
 */
export function useDraft(name, shown, parse, onChange) {
  const [text, setText] = useState(() => drafts.get(name) ?? shown);
  const write = (next) => {
    setText(next);
    const {value, error} = attempt(parse, next);
    if (error === undefined) drafts.delete(name);
    else drafts.set(name, next);
    onChange(value);
  };
  return {text, error: attempt(parse, text).error, write};
}

function attempt(parse, text) {
  try {
    return {value: parse(text), error: undefined};
  } catch (error) {
    if (!(error instanceof TextError)) throw error;
    return {value: undefined, error: error.message};
  }
}
