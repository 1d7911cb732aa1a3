/**
 * One message: what the user wrote, what a tool returned, or what the model wrote.
 */
import {Boundary} from "../../components/boundary.js";
import {html} from "../../html.js";
import {t} from "../../i18n.js";
import {Answer} from "./answer.js";
import {textOf} from "./history/title.js";
import {Question} from "./question.js";

/**
 * @param {object} props
 * @param {import("./tree.js").Node} props.node
 * @param {import("./conversation.js").Conversation} props.conversation
 * @param {number} props.index its place among its branches, from 1
 * @param {number} props.count how many branches there are
 * @param {string} props.results the ids of the nodes with the results of its calls
 * @param {boolean} props.isLast whether no message follows
 * @param {boolean} props.isWriting whether the conversation's answer is being written
 */
export function MessageView(props) {
  const broken = html`<p class="message message-note" role="alert">${t("chat.broken")}</p>`;
  return html`<${Boundary} fallback=${broken}><${Content} ...${props} /><//>`;
}

function Content(props) {
  const {role, content} = props.node.message;
  if (role === "assistant") return html`<${Answer} ...${props} />`;
  if (role === "user") return html`<${Question} ...${props} />`;
  const name = role === "tool" ? t("chat.tool_result") : t("chat.instructions");
  return html`
    <article class="message message-note" aria-label=${name}>
      <strong>${name}</strong><div class="message-note-text">${textOf(content)}</div>
    </article>`;
}
