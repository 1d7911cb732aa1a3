/**
 * The field to write in. Enter sends, Shift+Enter begins a new line; while an answer is written, the button stops it.
 */
import {IconButton} from "../../components/button.js";
import {lazy} from "../../components/lazy.js";
import {takeDraft} from "../../draft.js";
import {html, useEffect, useRef, useState} from "../../html.js";
import {t} from "../../i18n.js";
import {toContent} from "./attachments/content_fields.js";
import {AttachButton, AttachmentList, useAttachments} from "./attachments/attachments.js";

const DictateButton = lazy(() => import("../../media/dictate_button.js").then((module) => module.DictateButton));

/** @typedef {{sees: boolean, hears: boolean}} Abilities what the model takes besides text */

/**
 * @param {object} props
 * @param {Abilities} props.abilities
 * @param {import("./conversation.js").Conversation} props.conversation keeps what is written and not sent
 * @param {boolean} props.isWriting
 * @param {(message: Record<string, any>) => void} props.onSend
 * @param {() => void} props.onStop
 */
export function Composer({conversation, abilities, isWriting, onSend, onStop}) {
  const area = useRef(null);
  const [text, setText] = useState(() => takeDraft() || conversation.draft);
  const files = useAttachments(abilities, conversation);
  const write = (value) => {
    conversation.draft = value;
    setText(value);
  };
  useEffect(() => {
    // On a phone the focus would open the keyboard over the conversation.
    if (matchMedia("(hover: hover)").matches) area.current.focus({preventScroll: true});
  }, []);
  const canSend = !files.isReading && Boolean(text.trim() || files.attachments.length);
  const send = () => {
    if (isWriting || !canSend) return;
    onSend({role: "user", content: toContent(text.trim(), files.attachments)});
    write("");
    files.clear();
    area.current.focus();
  };
  const onKeyDown = (event) => {
    // While a Chinese word is composed, Enter chooses it.
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      send();
    }
    if (event.key === "Escape" && isWriting) onStop();
  };
  const stop = () => {
    onStop();
    area.current.focus();
  };
  const dictate = (said) => {
    const {draft} = conversation; // it may have changed while the recording was transcribed
    write(draft.trim() ? `${draft.trimEnd()} ${said}` : said);
    area.current.focus();
  };
  return html`
    <form class=${files.isOver ? "composer composer-over" : "composer"} onSubmit=${(event) => event.preventDefault()}>
      <${AttachmentList} attachments=${files.attachments} problems=${files.problems} isReading=${files.isReading}
        onRemove=${files.remove} />
      <${AttachButton} abilities=${abilities} onAdd=${files.add} />
      <textarea ref=${area} rows="1" aria-label=${t("chat.write")}
        placeholder=${files.isOver ? t("chat.drop") : t("chat.write")} value=${text}
        onInput=${(event) => write(event.target.value)} onKeyDown=${onKeyDown} onPaste=${files.onPaste}></textarea>
      <${DictateButton} onText=${dictate} />
      ${isWriting
        ? html`<${IconButton} key="stop" icon="stop" kind="primary" label=${t("chat.stop")} onClick=${stop} />`
        : html`<${IconButton} key="send" icon="send" kind="primary" label=${t("chat.send")} disabled=${!canSend}
            onClick=${send} />`}
    </form>`;
}
