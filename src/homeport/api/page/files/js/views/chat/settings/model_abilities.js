/**
 * What a model can do in a chat besides text, as short words behind its name.
 */
import {t} from "../../../i18n.js";

const NONE = "none";

/**
 * Return what a model can do that decides what may be attached. `hears`: itself, or by a model that transcribes for it.
 *
 * @param {any} model as the server lists it
 * @returns {{sees: boolean, hears: boolean, isTranscribed: boolean}}
 */
export function abilitiesOf(model) {
  const listens = Boolean(model?.capabilities.includes("audio_input"));
  const isTranscribed = !listens && Boolean(model?.audio?.input);
  return {sees: Boolean(model?.capabilities.includes("vision")), hears: listens || isTranscribed, isTranscribed};
}

/** @param {any} model whether it writes reasoning, as far as that is known: a model says so when it is loaded */
export function thinks(model) {
  return Boolean(model?.reasoning) && model.reasoning !== NONE;
}

/** @param {any} model as the server lists it @returns {string[]} words for it */
export function abilityWords(model) {
  const {sees, hears, isTranscribed} = abilitiesOf(model);
  return [
    ...(sees ? [t("ability.vision")] : []),
    ...(hears && !isTranscribed ? [t("ability.audio_input")] : []),
    ...(thinks(model) ? [t("chat.thinks")] : []),
  ];
}
