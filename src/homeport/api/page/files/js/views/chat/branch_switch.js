/**
 * Where a message has others in its place: which one is shown, and the way to the others.
 */
import {IconButton} from "../../components/button.js";
import {formatNumber} from "../../format.js";
import {html} from "../../html.js";
import {t} from "../../i18n.js";

/** @param {Parameters<typeof import("./message.js").MessageView>[0]} props */
export function BranchSwitch({node, conversation, index, count, isWriting}) {
  if (count < 2) return null;
  const show = (i) => conversation.choose(conversation.siblings(node)[i - 1]);
  const place = `${formatNumber(index)}/${formatNumber(count)}`;
  return html`
    <span class="branches" role="group" aria-label=${t("chat.branches")}>
      <${IconButton} icon="left" label=${t("chat.branch_before")} disabled=${index === 1 || isWriting}
        onClick=${() => show(index - 1)} />
      <span>${place}</span>
      <${IconButton} icon="right" label=${t("chat.branch_after")} disabled=${index === count || isWriting}
        onClick=${() => show(index + 1)} />
    </span>`;
}
