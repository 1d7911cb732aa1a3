/**
 * Where a recording comes from: a file, or the microphone. Then it is shown, and can be played.
 */
import {Button, IconButton} from "../../components/button.js";
import {showToast} from "../../components/toast.js";
import {formatBytes} from "../../format.js";
import {html, useRef, useState} from "../../html.js";
import {t} from "../../i18n.js";
import {Icon} from "../../icons.js";
import {useKeptFocus} from "../../media/focus.js";
import {LevelMeter} from "../../media/level_meter.js";
import {useRecording} from "../../media/recording.js";
import {SoundPlayer} from "../../media/sound_player.js";

const TYPES = "audio/*,video/mp4,video/webm,.flac,.m4a,.mp3,.mp4,.mpeg,.mpga,.oga,.ogg,.wav,.webm";

/**
 * @param {object} props
 * @param {File | null} props.file
 * @param {(file: File | null) => void} props.onChoose
 */
export function Source({file, onChoose, ...player}) {
  const onError = (message) => showToast(message, "error");
  const recording = useRecording({onFile: onChoose, onError});
  const {ref, isOver, ...drop} = useFileDrop(onChoose);
  if (recording.state === "recording") return html`<${Recording} recording=${recording} />`;
  if (file) {
    return html`
      <div class="box">
        <div class="source-head">
          <strong class="name" title=${file.name}>${file.name}</strong>
          <span class="muted">${formatBytes(file.size)}</span>
          <${IconButton} icon="close" label=${t("sound.other_file")} onClick=${() => onChoose(null)} />
        </div>
        <${SoundPlayer} file=${file} ...${player} />
      </div>`;
  }
  const pick = (event) => {
    if (event.target.files[0]) onChoose(event.target.files[0]);
    event.target.value = "";
  };
  return html`
    <div class=${isOver ? "drop-zone drop-zone-over" : "drop-zone"} ...${drop}>
      <${Icon} name="sound" />
      <p>${t("sound.drop")}</p>
      <p class="muted">${t("sound.drop_hint")}</p>
      <input ref=${ref} class="only-read" type="file" accept=${TYPES} tabindex="-1" aria-label=${t("sound.choose_file")}
        onChange=${pick} />
      <div class="button-row">
        <${Button} kind="primary" icon="upload" onClick=${() => ref.current.click()}>${t("sound.choose_file")}<//>
        <${Button} icon="microphone" isBusy=${recording.state !== "idle"} onClick=${recording.start}>
          ${recording.state === "asking" ? t("sound.asking") : t("sound.record")}<//>
      </div>
    </div>`;
}

function Recording({recording}) {
  const place = useRef(null);
  useKeptFocus(place, ".button-primary", recording.state, true);
  return html`
    <div ref=${place} class="box recording">
      <${LevelMeter} recorder=${recording.recorder} />
      <div class="button-row">
        <${Button} onClick=${recording.discard}>${t("sound.discard")}<//>
        <${Button} kind="primary" icon="stop" onClick=${recording.finish}>${t("sound.finish")}<//>
      </div>
    </div>`;
}

/** Files that are dropped on an element; its `ref` is for a field that opens the browser's dialog. */
function useFileDrop(onFile) {
  const ref = useRef(null);
  const [isOver, setOver] = useState(false);
  return {
    ref,
    isOver,
    onDragOver: (event) => {
      event.preventDefault();
      setOver(true);
    },
    onDragLeave: () => setOver(false),
    onDrop: (event) => {
      event.preventDefault();
      setOver(false);
      const [file] = event.dataTransfer.files;
      if (file) onFile(file);
    },
  };
}
