/**
 * Shows a new secret, once.
 */
import {copyText} from "../../clipboard.js";
import {Button} from "../../components/button.js";
import {DialogFrame} from "../../components/dialog.js";
import {showToast} from "../../components/toast.js";
import {html, useState} from "../../html.js";
import {t} from "../../i18n.js";

/** @param {{item: import("./key_data.js").Key, onClose: () => void}} props */
export function SecretDialog({item, onClose}) {
  const [isCopied, setCopied] = useState(false);
  const copy = async () => {
    const done = await copyText(item.secret);
    setCopied(done);
    if (!done) showToast(t("code.not_copied"), "error");
  };
  // A secret that was not copied is lost with the dialog: only its button closes it.
  const stay = (event) => (isCopied ? onClose() : event?.preventDefault());
  return html`
    <${DialogFrame} label=${t("keys.secret_title", {name: item.name})} onClose=${stay}>
      <h2 class="clip" title=${item.name}>${t("keys.secret_title", {name: item.name})}</h2>
      <p class="notice key-warning">${t("keys.secret_warning")}</p>
      <code class="secret">${item.secret}</code>
      <div class="dialog-actions">
        <${Button} kind=${isCopied ? "plain" : "primary"} icon=${isCopied ? "check" : "copy"} onClick=${copy}>
          ${isCopied ? t("code.copied") : t("code.copy")}
        <//>
        <${Button} kind=${isCopied ? "primary" : "plain"} onClick=${onClose}>${t("keys.done")}<//>
      </div>
    <//>`;
}
