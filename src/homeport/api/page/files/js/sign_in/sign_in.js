/**
 * Signing in: with a key, and with an admin key for the administration.
 */
import {Button} from "../components/button.js";
import {TextField} from "../components/field.js";
import {prose} from "../components/prose.js";
import {describeError} from "../errors.js";
import {html, useState} from "../html.js";
import {t} from "../i18n.js";
import {LanguageMenu, ThemeMenu} from "../navigation.js";
import {session, signIn} from "../session.js";
import {useSignal} from "../signal.js";

/** The form. It is shown when the server needs a key that this tab does not have. */
export function SignIn() {
  const {error: earlier} = useSignal(session);
  const [keys, setKeys] = useState({key: "", adminKey: ""});
  const [ownError, setError] = useState(undefined); // null: what was wrong is being changed
  const error = ownError === undefined ? earlier : ownError;
  const [isBusy, setBusy] = useState(false);
  const submit = async (event) => {
    event.preventDefault();
    setBusy(true);
    try {
      await signIn({key: keys.key.trim(), adminKey: keys.adminKey.trim()});
    } catch (problem) {
      setError(problem);
      setBusy(false);
    }
  };
  const change = (name) => (event) => {
    setError(null);
    setKeys({...keys, [name]: event.target.value});
  };
  const isAdminError = error?.code === "not_an_admin_key";
  const described = error ? describeError(error) : undefined;
  return html`
    <form class="sign-in" onSubmit=${submit}>
      <span class="brand-mark brand-mark-large" aria-hidden="true"></span>
      <h1>${t("sign_in.title")}</h1>
      <p class="muted">${t("sign_in.about")}</p>
      <${TextField} label=${t("sign_in.key")} type="password" autocomplete="off" spellcheck=${false} autofocus
        value=${keys.key} onInput=${change("key")} error=${isAdminError ? undefined : described}
        hint=${t("sign_in.key_hint")} />
      <details open=${isAdminError}>
        <summary>${t("sign_in.admin")}</summary>
        <${TextField} label=${t("sign_in.admin_key")} type="password" autocomplete="off" spellcheck=${false}
          value=${keys.adminKey} onInput=${change("adminKey")} error=${isAdminError ? described : undefined}
          hint=${t("sign_in.admin_hint")} />
      </details>
      <${Button} kind="primary" type="submit" isBusy=${isBusy} disabled=${!keys.key.trim() && !keys.adminKey.trim()}>
        ${t("sign_in.submit")}
      <//>
      <p class="sign-in-note">${prose(t("sign_in.open_hint"))}</p>
      <div class="preferences"><${LanguageMenu} /><${ThemeMenu} /></div>
    </form>`;
}
