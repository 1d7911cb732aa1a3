/**
 * What the user wrote, as it is. It can be changed in its place, which begins a branch.
 */
import {Button, IconButton} from "../../components/button.js";
import {html, useLayoutEffect, useRef, useState} from "../../html.js";
import {t} from "../../i18n.js";
import {BranchSwitch} from "./branch_switch.js";
import {copyWithNotice} from "./copy.js";
import {MessageAttachments} from "./attachments/message_content.js";
import {withText, writtenText} from "./attachments/text_file.js";

/** @param {Parameters<typeof import("./message.js").MessageView>[0]} props */
export function Question({node, conversation, index, count, isWriting}) {
  const [isEditing, setEditing] = useState(false);
  const article = useRef(null);
  const text = writtenText(node.message.content);
  const close = () => {
    setEditing(false);
    setTimeout(() => article.current?.querySelector(".message-edit")?.focus());
  };
  const send = (changed) => {
    setEditing(false);
    conversation.edit(node, {...node.message, content: withText(node.message.content, changed)});
  };
  return html`
    <article ref=${article} class="message message-user" aria-label=${t("chat.you")}>
      ${isEditing
        ? html`<${EditForm} text=${text} isWriting=${isWriting} onSend=${send} onClose=${close} />`
        : html`<${MessageAttachments} content=${node.message.content} />
          ${text && html`<div class="bubble">${text}</div>`}
          <footer class="question-foot">
            <${BranchSwitch} node=${node} conversation=${conversation} index=${index} count=${count}
              isWriting=${isWriting} />
            <span class="message-actions">
              <${IconButton} icon="edit" label=${t("chat.edit")} class="icon-button icon-button-quiet message-edit"
                disabled=${isWriting} onClick=${() => setEditing(true)} />
              <${IconButton} icon="copy" label=${t("chat.copy_question")} onClick=${() => copyWithNotice(text)} />
            </span>
          </footer>`}
    </article>`;
}

function EditForm({text, isWriting, onSend, onClose}) {
  const area = useRef(null);
  const [changed, setChanged] = useState(text);
  useLayoutEffect(() => {
    area.current.focus();
    area.current.setSelectionRange(text.length, text.length);
  }, []);
  const canSend = !isWriting && Boolean(changed.trim());
  const onKeyDown = (event) => {
    if (event.key === "Escape") onClose();
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    if (canSend) onSend(changed.trim());
  };
  return html`
    <div class="edit-form">
      <textarea ref=${area} class="input" aria-label=${t("chat.edit")} value=${changed} rows="2"
        onInput=${(event) => setChanged(event.target.value)} onKeyDown=${onKeyDown}></textarea>
      <div class="edit-actions">
        <${Button} onClick=${onClose}>${t("shell.cancel")}<//>
        <${Button} kind="primary" disabled=${!canSend} onClick=${() => onSend(changed.trim())}>${t("chat.send")}<//>
      </div>
    </div>`;
}
