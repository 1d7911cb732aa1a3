/**
 * An answer in which each token is tinted by its probability. The one that is pointed at, or reached by the arrow keys,
 * shows what else could have stood there. For the keyboard all tokens are one control.
 */
import {formatNumber} from "../../../format.js";
import {html, useMemo, useRef, useState} from "../../../html.js";
import {t} from "../../../i18n.js";
import {meanProbability, readTokens, showBlanks} from "./token_list.js";

const PAGE = 1000;
const STEPS = {ArrowRight: 1, ArrowLeft: -1, PageDown: 20, PageUp: -20, Home: -Infinity, End: Infinity};
let count = 0;

/** @param {{entries: any[]}} props `logprobs.content` of a choice */
export function TokenProbabilities({entries}) {
  const id = useMemo(() => `tokens-${++count}`, []);
  const list = useRef(null);
  const tokens = useMemo(() => readTokens(entries), [entries]);
  const [page, setPage] = useState(0);
  const [active, setActive] = useState(0);
  const first = page * PAGE;
  const shown = tokens.slice(first, first + PAGE);
  const token = tokens[active];
  const choose = (index) => {
    const next = Math.min(Math.max(index, 0), tokens.length - 1);
    setActive(next);
    setPage(Math.floor(next / PAGE));
  };
  const onKeyDown = (event) => {
    const step = STEPS[event.key];
    if (step === undefined) return;
    event.preventDefault();
    choose(active + step);
    requestAnimationFrame(() => list.current?.querySelector(".token-active")?.scrollIntoView({block: "nearest"}));
  };
  const point = ({target}) => {
    const index = target.closest?.(".token")?.dataset.index;
    if (index !== undefined) setActive(Number(index));
  };
  return html`
    <div class="tokens">
      <p class="muted">${t("chat.tokens_mean", {mean: percent(meanProbability(entries))})}</p>
      <div ref=${list} class="token-list" role="listbox" tabindex="0" aria-label=${t("chat.tokens_list")}
        aria-activedescendant="${id}-${active}" onKeyDown=${onKeyDown} onMouseOver=${point} onClick=${point}>
        <${Tokens} id=${id} tokens=${shown} first=${first} active=${active} />
      </div>
      ${tokens.length > PAGE && html`<${Pages} page=${page} count=${Math.ceil(tokens.length / PAGE)}
        onChoose=${(next) => choose(next * PAGE)} />`}
      ${token && html`<${Alternatives} token=${token} />`}
    </div>`;
}

function Tokens({id, tokens, first, active}) {
  return tokens.map((token, i) => html`
    <span key=${first + i} id="${id}-${first + i}" data-index=${first + i} role="option"
      aria-selected=${first + i === active} aria-label="${showBlanks(token.text)} ${percent(token.probability)}"
      class="token token-${token.level}${first + i === active ? " token-active" : ""}">${token.text}</span>`);
}

function Pages({page, count: pages, onChoose}) {
  return html`
    <div class="token-pages">
      <button type="button" class="button" disabled=${page === 0} onClick=${() => onChoose(page - 1)}>
        ${t("chat.tokens_before")}
      </button>
      <span class="muted">${page + 1} / ${pages}</span>
      <button type="button" class="button" disabled=${page === pages - 1} onClick=${() => onChoose(page + 1)}>
        ${t("chat.tokens_after")}
      </button>
    </div>`;
}

function Alternatives({token}) {
  return html`
    <table class="alternatives" aria-label=${t("chat.alternatives")}>
      <tbody>
        ${token.alternatives.map((each, i) => html`
          <tr key=${i} class=${each.isChosen ? "alternative-chosen" : undefined}>
            <th scope="row"><code>${showBlanks(each.text) || t("chat.token_empty")}</code></th>
            <td><progress max="1" value=${each.probability} aria-hidden="true"></progress></td>
            <td class="number">${percent(each.probability)}</td>
          </tr>`)}
      </tbody>
    </table>`;
}

function percent(probability) {
  const value = probability * 100;
  return `${value > 0 && value < 0.1 ? "<" : ""}${formatNumber(Math.max(value, value > 0 ? 0.1 : 0), 1)} %`;
}
