/**
 * The languages that speech recognition knows, named in the page's language.
 */
import {languageTag, t} from "../../i18n.js";

const FIRST = ["zh-hans", "zh-hant", "yue", "en"];
const CODES = `af am ar as az ba be bg bn bo br bs ca cs cy da de el es et eu fa fi fo fr gl gu ha haw he hi hr ht
  hu hy id is it ja jv ka kk km kn ko la lb ln lo lt lv mg mi mk ml mn mr ms mt my ne nl nn no oc pa
  pl ps pt ro ru sa sd si sk sl sn so sq sr su sv sw ta te tg th tk tl tr tt uk ur uz vi yi yo`.split(/\s+/);

/**
 * Return the choices: detection, frequent ones, and all others by name.
 *
 * @returns {{value: string, name: string}[]}
 */
export function languageOptions() {
  const names = new Intl.DisplayNames(languageTag(), {type: "language"});
  const option = (code) => ({value: code, name: names.of(code)});
  const rest = CODES.map(option).sort((a, b) => a.name.localeCompare(b.name, languageTag()));
  return [{value: "", name: t("sound.detect")}, ...FIRST.map(option), ...rest];
}
