/**
 * What is attached to the message that is being written: a button, dropping and pasting, and what is attached so far.
 */
import {IconButton} from "../../../components/button.js";
import {formatBytes} from "../../../format.js";
import {html, useEffect, useRef, useState} from "../../../html.js";
import {t} from "../../../i18n.js";
import {Icon} from "../../../icons.js";

const ICONS = {sound: "sound", text: "file"};

/**
 * The attachments of a composer. Files can be dropped anywhere: elsewhere the browser would leave the page for them.
 * `onPaste` belongs to the field.
 *
 * @param {import("./attachment_files.js").Abilities} abilities
 * @param {import("../conversation.js").Conversation} conversation keeps what is attached and not sent
 */
export function useAttachments(abilities, conversation) {
  const [attachments, setState] = useState(conversation.attachments);
  const [problems, setProblems] = useState([]);
  const [isReading, setReading] = useState(false);
  const [isOver, setOver] = useState(false);
  const setAttachments = (change) => {
    conversation.attachments = change(conversation.attachments);
    setState(conversation.attachments);
  };
  const add = async (files) => {
    setReading(true);
    try {
      const {readAttachments} = await import("./attachment_files.js");
      const read = await readAttachments([...files], abilities, conversation.attachments.length);
      setAttachments((before) => [...before, ...read.attachments]);
      setProblems(read.problems);
    } catch {
      setProblems([t("error.unexpected")]);
    }
    setReading(false);
  };
  useEffect(() => listenForDrops(setOver, add), [abilities.sees, abilities.hears]);
  const onPaste = (event) => {
    // Office programs put a picture of the text beside the text.
    if (!event.clipboardData?.files.length || event.clipboardData.types.includes("text/plain")) return;
    event.preventDefault();
    add(event.clipboardData.files);
  };
  return {
    attachments,
    problems,
    isReading,
    isOver,
    add,
    remove: (id) => setAttachments((before) => before.filter((each) => each.id !== id)),
    clear() {
      setAttachments(() => []);
      setProblems([]);
    },
    onPaste,
  };
}

/** Listen for files that are dragged over the page and dropped; returns what ends it. */
function listenForDrops(setOver, add) {
  const control = new AbortController();
  const listen = (name, react) => document.addEventListener(name, (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    react(event);
  }, {signal: control.signal});
  listen("dragover", () => setOver(true));
  listen("dragleave", (event) => event.relatedTarget ?? setOver(false));
  listen("drop", (event) => {
    setOver(false);
    add(event.dataTransfer.files);
  });
  return () => control.abort();
}

/** @param {{abilities: import("./attachment_files.js").Abilities, onAdd: (files: Iterable<File>) => void}} props */
export function AttachButton({abilities, onAdd, ...rest}) {
  const input = useRef(null);
  const {sees, hears} = abilities;
  const label = sees && hears ? t("chat.attach_all")
    : sees ? t("chat.attach_pictures") : hears ? t("chat.attach_sound") : t("chat.attach_text");
  const choose = ({target}) => {
    onAdd([...target.files]);
    target.value = ""; // so that the same file can be chosen again
  };
  return html`
    <${IconButton} icon="attach" label=${label} onClick=${() => input.current.click()} ...${rest} />
    <input ref=${input} type="file" multiple hidden onChange=${choose} />`;
}

/**
 * @param {object} props
 * @param {import("./attachment_files.js").Attachment[]} props.attachments
 * @param {string[]} props.problems
 * @param {boolean} props.isReading
 * @param {(id: number) => void} props.onRemove
 */
export function AttachmentList({attachments, problems, isReading, onRemove}) {
  if (!attachments.length && !problems.length && !isReading) return null;
  return html`
    <div class="attachments">
      ${attachments.length > 0 && html`
        <ul class="attachment-list" aria-label=${t("chat.attached")}>
          ${attachments.map((each) => html`<${Item} key=${each.id} attachment=${each} onRemove=${onRemove} />`)}
        </ul>`}
      ${isReading && html`<p class="muted" role="status">${t("chat.reading_file")}</p>`}
      ${problems.map((problem) => html`<p key=${problem} class="attachment-problem" role="alert">${problem}</p>`)}
    </div>`;
}

function Item({attachment, onRemove}) {
  const {id, kind, name, size, part} = attachment;
  return html`
    <li class="attachment">
      ${kind === "picture" ? html`<img class="attachment-picture" src=${part.image_url.url} alt="" />`
        : html`<${Icon} name=${ICONS[kind]} />`}
      <span class="attachment-name" title=${name}>${name}</span>
      <span class="muted">${formatBytes(size)}</span>
      <${IconButton} icon="close" label=${t("chat.detach", {name})} onClick=${() => onRemove(id)} />
    </li>`;
}
