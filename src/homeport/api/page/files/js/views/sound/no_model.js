/**
 * What is shown if no model for sound is installed.
 */
import {EmptyState} from "../../components/states.js";
import {html} from "../../html.js";
import {t} from "../../i18n.js";
import {addressOf} from "../../router.js";
import {session} from "../../session.js";

/** @param {{title: string, name: string}} props `name`: of a model that would do */
export function NoModel({title, name}) {
  const {access} = session.get();
  return html`
    <${EmptyState} title=${title} text=${access.admin ? t("sound.pull_admin") : t("sound.pull")}>
      ${access.admin
        ? html`<a href=${addressOf("models")}>${t("models.title")}</a>`
        : html`<code>${`homeport pull ${name}`}</code>`}
    <//>`;
}
