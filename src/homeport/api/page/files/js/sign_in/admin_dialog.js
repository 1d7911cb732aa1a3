/**
 * Asks for the admin key, in addition to what this tab may do already.
 */
import {Button} from "../components/button.js";
import {DialogFrame} from "../components/dialog.js";
import {TextField} from "../components/field.js";
import {describeError} from "../errors.js";
import {html, useState} from "../html.js";
import {t} from "../i18n.js";
import {addAdminKey} from "../session.js";

/** @param {{onClose: () => void}} props */
export function AdminDialog({onClose}) {
  const [adminKey, setAdminKey] = useState("");
  const [error, setError] = useState(null);
  const submit = async (event) => {
    event.preventDefault();
    try {
      await addAdminKey(adminKey.trim());
      onClose();
    } catch (problem) {
      setError(problem);
    }
  };
  const change = (event) => {
    setError(null);
    setAdminKey(event.target.value);
  };
  return html`
    <${DialogFrame} label=${t("sign_in.admin")} onClose=${onClose}>
      <form class="dialog-form" onSubmit=${submit}>
        <h2>${t("sign_in.admin")}</h2>
        <${TextField} label=${t("sign_in.admin_key")} type="password" autocomplete="off" spellcheck=${false} autofocus
          value=${adminKey} onInput=${change} error=${error ? describeError(error) : undefined}
          hint=${t("sign_in.admin_hint")} />
        <div class="dialog-actions">
          <${Button} onClick=${onClose}>${t("shell.cancel")}<//>
          <${Button} kind="primary" type="submit" disabled=${!adminKey.trim()}>${t("sign_in.submit")}<//>
        </div>
      </form>
    <//>`;
}
