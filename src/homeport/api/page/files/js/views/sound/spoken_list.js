/**
 * What was spoken in this visit: each can be played and saved.
 */
import {IconButton} from "../../components/button.js";
import {saveFile} from "../../download.js";
import {formatBytes} from "../../format.js";
import {html, useRef} from "../../html.js";
import {t} from "../../i18n.js";
import {SoundPlayer} from "../../media/sound_player.js";
import {describeVoice} from "./voice_field.js";

const ENDINGS = {opus: "ogg"};

/** @param {{spoken: import("./speaking.js").Spoken[], onRemove: (id: number) => void}} props newest first */
export function SpokenList({spoken, onRemove}) {
  const first = useRef(spoken[0]?.id ?? 0); // those that are here when the list is opened stay silent
  if (!spoken.length) return null;
  return html`
    <section class="spoken" aria-label=${t("sound.spoken")}>
      <h2>${t("sound.spoken")}</h2>
      <ol class="spoken-list">
        ${spoken.map((each) => html`
          <li key=${each.id} class="box">
            <p class="spoken-text" title=${each.text}>${each.text}</p>
            <${SoundPlayer} file=${each.file} isPlayedAtOnce=${each.id > first.current} />
            <div class="source-head">
              <span class="muted">${describeVoice(each.voice)} · ${each.format.toUpperCase()} ·
                ${" "}${formatBytes(each.file.size)}</span>
              <${IconButton} icon="download" label=${t("sound.download")} onClick=${() => save(each)} />
              <${IconButton} icon="trash" label=${t("sound.remove")} onClick=${() => onRemove(each.id)} />
            </div>
            ${each.skipped && html`<p class="notice">${t("sound.skipped", {characters: each.skipped})}</p>`}
          </li>`)}
      </ol>
    </section>`;
}

function save({text, format, file}) {
  const name = text.trim().slice(0, 40).replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-|-$/g, "") || "speech";
  saveFile(`${name}.${ENDINGS[format] ?? format}`, file);
}
