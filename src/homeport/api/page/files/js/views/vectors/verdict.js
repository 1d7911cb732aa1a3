/**
 * What a moderation says: the categories with their scores, those that are flagged marked.
 */
import {html} from "../../html.js";
import {t} from "../../i18n.js";
import {Icon} from "../../icons.js";
import {formatScore} from "./scores.js";

/**
 * @typedef {object} Result as the server answers
 * @property {boolean} flagged
 * @property {Record<string, boolean>} categories
 * @property {Record<string, number>} category_scores
 */

/** @param {{result: Result}} props */
export function Verdict({result}) {
  const {flagged, categories, category_scores: scores} = result;
  const names = categoryNames();
  const rows = Object.entries(scores).sort(([, a], [, b]) => b - a);
  return html`
    <section class="verdict" aria-labelledby="verdict-title">
      <div role="status">
        <h2 id="verdict-title" class=${flagged ? "verdict-title verdict-flagged" : "verdict-title"}>
          <${Icon} name=${flagged ? "warning" : "check"} />${flagged ? t("vectors.flagged") : t("vectors.not_flagged")}
        </h2>
      </div>
      <div class="table-frame">
        <table>
          <thead><tr>
            <th scope="col">${t("vectors.category")}</th>
            <th scope="col" class="score-cell"><span class="only-read">${t("vectors.bar")}</span></th>
            <th scope="col" class="number">${t("vectors.score")}</th>
          </tr></thead>
          <tbody>
            ${rows.map(([category, score]) => html`
              <${Category} key=${category} name=${names[category] ?? category} score=${score}
                isFlagged=${categories[category]} />`)}
          </tbody>
        </table>
      </div>
      <p class="muted verdict-note">${t("vectors.moderation_note")}</p>
    </section>`;
}

function Category({name, score, isFlagged}) {
  return html`
    <tr class=${isFlagged ? "category-flagged" : ""}>
      <th scope="row">${name}${isFlagged && html`<span class="tag">${t("vectors.flag")}</span>`}</th>
      <td class="score-cell">
        <svg class="score-bar" aria-hidden="true"><rect width="${score * 100}%" height="100%" rx="3" /></svg>
      </td>
      <td class="number">${formatScore(score)}</td>
    </tr>`;
}

function categoryNames() {
  return {
    harassment: t("vectors.harassment"),
    "harassment/threatening": t("vectors.harassment_threatening"),
    sexual: t("vectors.sexual"),
    "sexual/minors": t("vectors.sexual_minors"),
    hate: t("vectors.hate"),
    "hate/threatening": t("vectors.hate_threatening"),
    illicit: t("vectors.illicit"),
    "illicit/violent": t("vectors.illicit_violent"),
    "self-harm": t("vectors.self_harm"),
    "self-harm/intent": t("vectors.self_harm_intent"),
    "self-harm/instructions": t("vectors.self_harm_instructions"),
    violence: t("vectors.violence"),
    "violence/graphic": t("vectors.violence_graphic"),
  };
}
