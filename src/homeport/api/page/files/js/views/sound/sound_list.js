/**
 * The sounds of this visit: each can be played and saved.
 */
import {IconButton} from "../../components/button.js";
import {saveFile} from "../../download.js";
import {formatBytes} from "../../format.js";
import {html, useRef} from "../../html.js";
import {t} from "../../i18n.js";
import {SoundPlayer} from "../../media/sound_player.js";

const ENDINGS = {opus: "ogg", midi: "mid"};

/**
 * @param {object} props
 * @param {string} props.title
 * @param {import("./sound_requests.js").Sound[]} props.sounds newest first
 * @param {(id: number) => void} props.onRemove
 */
export function SoundList({title, sounds, onRemove}) {
  const first = useRef(sounds[0]?.id ?? 0); // those that are here when the list is opened stay silent
  if (!sounds.length) return null;
  return html`
    <section class="spoken" aria-label=${title}>
      <h2>${title}</h2>
      <ol class="spoken-list">
        ${sounds.map((each) => html`
          <li key=${each.id} class="box">
            <p class="spoken-text" title=${each.text}>${each.text}</p>
            ${each.format !== "midi" && html`
              <${SoundPlayer} file=${each.file} isPlayedAtOnce=${each.id > first.current} />`}
            <div class="source-head">
              <span class="muted">${each.detail && `${each.detail} · `}${each.format.toUpperCase()} ·
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
  const name = text.trim().slice(0, 40).replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-|-$/g, "") || "sound";
  saveFile(`${name}.${ENDINGS[format] ?? format}`, file);
}
