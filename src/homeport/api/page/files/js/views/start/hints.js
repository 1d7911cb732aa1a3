/**
 * What the start view says beyond its views: how programs reach the server, and how to get the administration.
 */
import {copyText} from "../../clipboard.js";
import {IconButton} from "../../components/button.js";
import {showToast} from "../../components/toast.js";
import {html} from "../../html.js";
import {t} from "../../i18n.js";

const OPEN = "homeport open";
const BASE_URL = `OPENAI_BASE_URL=${location.origin}/v1`;

/** The address for programs. @param {{keyless: boolean}} props */
export function ForPrograms({keyless}) {
  return html`
    <section><h2>${t("start.programs")}</h2>
      <p class="muted">${keyless ? t("start.programs_any_key") : t("start.programs_key")}</p>
      <${Command} text=${BASE_URL} />
    </section>`;
}

/** How who sits at the server gets the administration. */
export function AdminHint() {
  return html`
    <section><h2>${t("start.manage")}</h2>
      <p class="muted">${t("start.manage_hint")}</p>
      <${Command} text=${OPEN} />
    </section>`;
}

function Command({text}) {
  const copy = async () => showToast((await copyText(text)) ? t("code.copied") : t("code.not_copied"));
  return html`
    <div class="command"><code>${text}</code>
      <${IconButton} icon="copy" label=${t("start.copy", {text})} onClick=${copy} />
    </div>`;
}
