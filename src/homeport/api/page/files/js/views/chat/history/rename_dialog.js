/**
 * Asks for another title of a conversation.
 */
import {Button} from "../../../components/button.js";
import {DialogFrame} from "../../../components/dialog.js";
import {TextField} from "../../../components/field.js";
import {html, useState} from "../../../html.js";
import {t} from "../../../i18n.js";
import {rename} from "./library.js";

const MAX_CHARS = 200;

/** @param {{head: import("./database.js").Head, onClose: () => void}} props */
export function RenameDialog({head, onClose}) {
  const [title, setTitle] = useState(head.title);
  const submit = (event) => {
    event.preventDefault();
    if (title.trim()) rename(head.id, title.trim());
    onClose();
  };
  return html`
    <${DialogFrame} label=${t("chat.rename_title")} onClose=${onClose}>
      <form class="dialog-form" onSubmit=${submit}>
        <h2>${t("chat.rename_title")}</h2>
        <${TextField} label=${t("chat.name")} value=${title} maxlength=${MAX_CHARS} autofocus autocomplete="off"
          onInput=${(event) => setTitle(event.target.value)} />
        <div class="dialog-actions">
          <${Button} onClick=${onClose}>${t("shell.cancel")}<//>
          <${Button} kind="primary" type="submit" disabled=${!title.trim()}>${t("chat.rename")}<//>
        </div>
      </form>
    <//>`;
}
