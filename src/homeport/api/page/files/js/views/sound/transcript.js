/**
 * The transcript: segments with their times, which can be played and edited, and saved as files.
 */
import {copyText} from "../../clipboard.js";
import {IconButton} from "../../components/button.js";
import {Menu} from "../../components/menu.js";
import {EmptyState, Progress} from "../../components/states.js";
import {showToast} from "../../components/toast.js";
import {saveFile} from "../../download.js";
import {describeError} from "../../errors.js";
import {formatClock} from "../../format.js";
import {html} from "../../html.js";
import {t} from "../../i18n.js";
import {FORMATS, toText} from "./subtitles.js";

/**
 * @param {object} props
 * @param {string} props.state of the transcription
 * @param {import("./transcription.js").Segment[]} props.segments
 * @param {unknown} props.error
 * @param {number} props.seconds how long the recording is; 0: unknown
 * @param {number} props.position where it plays
 * @param {string} props.name of the recording's file
 * @param {(id: number, text: string) => void} props.onEdit
 * @param {(segment: import("./transcription.js").Segment) => void} props.onPlay
 */
export function Transcript({state, segments, error, seconds, position, name, onEdit, onPlay}) {
  if (state === "ready") return null;
  const reached = segments.at(-1)?.end ?? 0;
  return html`
    <section aria-label=${t("sound.transcript")}>
      <header class="transcript-head">
        <h2>${t("sound.transcript")}</h2>
        ${state !== "working" && segments.length > 0 && html`<${Actions} segments=${segments} name=${name} />`}
      </header>
      ${state === "working" && html`
        <div class="transcript-progress" role="status">
          <${Progress} label=${t("sound.working")} value=${reached && seconds ? reached / seconds : undefined} />
          <span class="muted">${reached && seconds
            ? t("sound.reached", {at: formatClock(reached), end: formatClock(seconds)}) : t("sound.working")}</span>
        </div>`}
      ${state === "stopped" && html`<p class="notice">${t("sound.stopped")}</p>`}
      ${state === "failed" && html`<p class="notice notice-error" role="alert">${describeError(error)}</p>`}
      ${state === "done" && !segments.length && html`
        <${EmptyState} title=${t("media.no_speech")} text=${t("sound.no_speech_hint")} />`}
      ${segments.length > 0 && html`
        <ol class="segments">
          ${segments.map((segment) => html`
            <${SegmentRow} key=${segment.id} segment=${segment} isNow=${isAt(segment, position)} onEdit=${onEdit}
              onPlay=${onPlay} />`)}
        </ol>`}
    </section>`;
}

function SegmentRow({segment, isNow, onEdit, onPlay}) {
  const {id, start, end, text} = segment;
  const times = {start: formatClock(start), end: formatClock(end)};
  return html`
    <li class=${isNow ? "segment segment-now" : "segment"}>
      <button class="segment-time" type="button" aria-label=${t("sound.play_segment", times)}
        title=${t("sound.play_segment", times)} onClick=${() => onPlay(segment)}>${times.start}</button>
      <textarea class="segment-text" rows=${Math.max(1, Math.ceil(text.length / 80))} value=${text}
        aria-label=${t("sound.segment_text", times)} onInput=${(event) => onEdit(id, event.target.value)}></textarea>
    </li>`;
}

function Actions({segments, name}) {
  const base = name.replace(/\.[^.]*$/, "") || "transcript";
  const save = (ending) => saveFile(`${base}.${ending}`, FORMATS[ending].write(segments), FORMATS[ending].type);
  const names = {
    txt: t("sound.save_txt"), srt: t("sound.save_srt"), vtt: t("sound.save_vtt"), json: t("sound.save_json"),
  };
  const items = Object.keys(FORMATS).map((ending) => ({name: names[ending], onChoose: () => save(ending)}));
  const copy = async () =>
    showToast((await copyText(toText(segments))) ? t("code.copied") : t("code.not_copied"));
  return html`
    <div class="button-row">
      <${IconButton} icon="copy" label=${t("code.copy")} onClick=${copy} />
      <${Menu} icon="download" label=${t("sound.save")} text=${t("sound.save_as")} items=${items} />
    </div>`;
}

function isAt({start, end}, position) {
  return position > 0 && start <= position && position < end;
}
