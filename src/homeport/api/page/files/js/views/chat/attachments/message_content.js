/**
 * The content of a message that a person sent: its text, and above it pictures, recordings and files.
 */
import {html} from "../../../html.js";
import {t} from "../../../i18n.js";
import {Icon} from "../../../icons.js";
import {CodeBlock} from "../../../text/code_block.js";
import {readTextPart} from "./text_file.js";

/** The attachments of a message. @param {{content: string | any[] | null}} props */
export function MessageAttachments({content}) {
  const parts = Array.isArray(content) ? content.filter((part) => part.type !== "text" || readTextPart(part)) : [];
  if (!parts.length) return null;
  return html`<div class="sent-attachments">${parts.map((part, i) => html`<${Sent} key=${i} part=${part} />`)}</div>`;
}

function Sent({part}) {
  if (part.type === "image_url") return html`<${Picture} url=${String(part.image_url?.url)} />`;
  if (part.type === "input_audio") return html`<${Recording} audio=${part.input_audio ?? {}} />`;
  const file = readTextPart(part);
  if (file) {
    return html`
      <details class="sent-file">
        <summary title=${file.name}><${Icon} name="file" /><span>${file.name}</span></summary>
        <${CodeBlock} code=${file.text} language=${file.language} isClosed=${true} />
      </details>`;
  }
  return html`<span class="tag">${part.type}</span>`;
}

/** A picture of another server is a link: loading it would tell that server who reads. */
function Picture({url}) {
  if (/^https?:/.test(url)) return html`<a href=${url} target="_blank" rel="noopener noreferrer nofollow">${url}</a>`;
  if (!url.startsWith("data:image/")) return html`<span class="tag">${t("chat.picture")}</span>`;
  return html`<img class="sent-picture" src=${url} alt=${t("chat.picture")} />`;
}

function Recording({audio}) {
  const url = `data:${audio.format === "mp3" ? "audio/mpeg" : "audio/wav"};base64,${audio.data}`;
  return html`<audio class="sent-sound" controls preload="metadata" src=${url}
    aria-label=${t("chat.recording")}></audio>`;
}
