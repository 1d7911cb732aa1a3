/**
 * What can be done with an answer besides copying and repeating it: hear it, see its tokens, see its request as code.
 */
import {IconButton} from "../../components/button.js";
import {lazy} from "../../components/lazy.js";
import {html, useState} from "../../html.js";
import {t} from "../../i18n.js";
import {session} from "../../session.js";

const SpeakButton = lazy(() => import("../../media/speak_button.js").then((module) => module.SpeakButton));
const CodeDialog = lazy(() => import("./as_code/code_dialog.js").then((module) => module.CodeDialog));

/**
 * @param {object} props
 * @param {import("./tree.js").Node} props.node
 * @param {string} props.text
 * @param {boolean} props.areTokensShown
 * @param {(isShown: boolean) => void} props.showTokens
 */
export function AnswerActions({node, text, areTokensShown, showTokens}) {
  const [isCodeShown, showCode] = useState(false);
  return html`
    ${text && html`<${SpeakButton} text=${text} />`}
    ${node.logprobs?.content?.length > 0 && html`
      <${IconButton} icon="bars" aria-pressed=${areTokensShown} onClick=${() => showTokens(!areTokensShown)}
        label=${areTokensShown ? t("chat.hide_probabilities") : t("chat.show_probabilities")} />`}
    ${node.request?.messages && html`
      <${IconButton} icon="code" label=${t("chat.as_code")} onClick=${() => showCode(true)} />`}
    ${isCodeShown && html`
      <${CodeDialog} request=${node.request} needsKey=${!session.get().access?.keyless}
        onClose=${() => showCode(false)} />`}`;
}
