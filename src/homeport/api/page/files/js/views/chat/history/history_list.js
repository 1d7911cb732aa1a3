/**
 * The conversations, the newest first, by the day of their last message. More are shown when the end comes into sight.
 */
import {Menu} from "../../../components/menu.js";
import {ConfirmDialog} from "../../../components/dialog.js";
import {formatDate} from "../../../format.js";
import {html, useEffect, useMemo, useRef, useState} from "../../../html.js";
import {language, t} from "../../../i18n.js";
import {addressOf} from "../../../router.js";
import {createSignal, useSignal} from "../../../signal.js";
import {current, exported, forget, heads, openedConversation} from "./library.js";
import {RenameDialog} from "./rename_dialog.js";
import {exportText, saveFile} from "./transfer.js";

const PAGE = 50;
const DAY_MS = 86_400_000;
const never = createSignal(false);

/** @param {{search: string, onChoose?: () => void}} props */
export function HistoryList({search, onChoose}) {
  const all = useSignal(heads);
  const shown = useSignal(current);
  const [limit, setLimit] = useState(PAGE);
  const [asked, setAsked] = useState(null);
  const end = useRef(null);
  const words = search.trim().toLocaleLowerCase();
  const found = words ? all.filter((head) => head.title.toLocaleLowerCase().includes(words)) : all;
  useEffect(() => setLimit(PAGE), [words]);
  useEffect(() => {
    if (limit >= found.length) return undefined;
    const observer = new IntersectionObserver(([entry]) => {
      if (entry.isIntersecting) setLimit((count) => count + PAGE);
    }, {rootMargin: "200px"});
    observer.observe(end.current);
    return () => observer.disconnect();
  }, [limit, found.length]);
  const ask = (kind, head) => setAsked({kind, head});
  return html`
    <div class="history-list" tabindex="-1">
      ${!all.length && html`<p class="history-empty">${t("chat.history_empty")}</p>`}
      ${all.length > 0 && !found.length && html`<p class="history-empty" role="status">${t("chat.search_empty")}</p>`}
      ${groups(found.slice(0, limit)).map(({title, members}) => html`
        <section key=${title}>
          <h3>${title}</h3>
          <ul>
            ${members.map((head) => html`
              <${Entry} key=${head.id} head=${head} isShown=${head.id === shown.id} onChoose=${onChoose}
                onAsk=${ask} />`)}
          </ul>
        </section>`)}
      <div ref=${end} class="history-end"></div>
    </div>
    ${asked?.kind === "rename" && html`
      <${RenameDialog} head=${asked.head} onClose=${() => setAsked(null)} />`}
    ${asked?.kind === "delete" && html`
      <${ConfirmDialog} title=${t("chat.delete_title")} text=${titleOrNone(asked.head)} confirm=${t("chat.delete")}
        cancel=${t("shell.cancel")} onConfirm=${() => forget([asked.head.id])} onClose=${() => setAsked(null)} />`}`;
}

/** One conversation: a link to it, and a menu. Equal inputs give the same elements, which are not compared again. */
function Entry({head, isShown, onChoose, onAsk}) {
  const isWriting = useSignal(openedConversation(head.id)?.writing ?? never);
  const spoken = useSignal(language);
  return useMemo(() => {
    const title = titleOrNone(head);
    const items = [
      {name: t("chat.rename"), icon: "edit", onChoose: () => onAsk("rename", head)},
      {name: t("chat.export"), icon: "download", onChoose: () => exportOne(head)},
      {name: t("chat.delete"), icon: "trash", onChoose: () => onAsk("delete", head)},
    ];
    return html`
      <li class="history-entry">
        <a href=${addressOf("chat", head.id)} title=${`${title}\n${formatDate(head.updatedAt / 1000)}`}
          aria-current=${isShown ? "page" : undefined} onClick=${onChoose}>
          ${isWriting && html`<span class="waiting" role="img" aria-label=${t("chat.writing")}></span>`}
          <span class="history-title">${title}</span>
        </a>
        <${Menu} icon="more" label=${t("chat.menu_of", {title})} items=${items} />
      </li>`;
  }, [head, isShown, isWriting, spoken]);
}

async function exportOne(head) {
  const all = await exported([head.id]);
  saveFile(exportText(all), "homeport-conversation.json");
}

function titleOrNone({title}) {
  return title || t("chat.untitled");
}

/** Divide the conversations by the day of their last message. */
function groups(all) {
  const today = new Date().setHours(0, 0, 0, 0);
  const titleFor = ({updatedAt}) => {
    if (updatedAt >= today) return t("chat.today");
    if (updatedAt >= today - DAY_MS) return t("chat.yesterday");
    return updatedAt >= today - 7 * DAY_MS ? t("chat.last_week") : t("chat.earlier");
  };
  const found = new Map();
  for (const head of all) {
    const title = titleFor(head);
    found.set(title, [...(found.get(title) ?? []), head]);
  }
  return [...found].map(([title, members]) => ({title, members}));
}
