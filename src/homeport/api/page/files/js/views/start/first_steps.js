/**
 * What to try first: a question for the chat; or how to get a model, if none can chat.
 */
import {setDraft} from "../../draft.js";
import {html} from "../../html.js";
import {t} from "../../i18n.js";
import {Icon} from "../../icons.js";
import {canChat} from "../../models.js";
import {addressOf} from "../../router.js";

const PULL = "homeport pull qwen2.5-coder-0.5b";

/** @param {{models: import("../../models.js").Model[], isAdmin: boolean}} props */
export function FirstSteps({models, isAdmin}) {
  if (!models.some(canChat)) return html`<${NoModel} isAdmin=${isAdmin} />`;
  const questions = [t("start.question_1"), t("start.question_2"), t("start.question_3")];
  return html`
    <section class="first" aria-label=${t("start.try")}>
      <h2>${t("start.try")}</h2>
      <ul class="questions">
        ${questions.map((question) => html`
          <li key=${question}><a class="question" href=${addressOf("chat")} onClick=${() => setDraft(question)}>
            <span>${question}</span><${Icon} name="right" />
          </a></li>`)}
      </ul>
    </section>`;
}

function NoModel({isAdmin}) {
  return html`
    <section class="first">
      <h2>${t("start.no_chat_model")}</h2>
      ${isAdmin
        ? html`<p>${t("start.choose_model_hint")}</p>
            <a class="button button-primary first-button" href=${addressOf("models", "catalogue")}>
              ${t("start.choose_model")}</a>`
        : html`<p>${t("start.no_models_hint")}</p><code class="command">${PULL}</code>`}
    </section>`;
}
