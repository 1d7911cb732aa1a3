/**
 * A button that writes what is said: pressed once it records, pressed again the recording is transcribed.
 */
import {IconButton} from "../components/button.js";
import {showToast} from "../components/toast.js";
import {describeError} from "../errors.js";
import {html, useEffect, useRef, useState} from "../html.js";
import {t} from "../i18n.js";
import {useKeptFocus} from "./focus.js";
import {LevelMeter} from "./level_meter.js";
import {useRecording} from "./recording.js";
import {useSoundModels} from "./sound_models.js";
import {transcribe} from "./transcribing.js";

/**
 * Nothing, if no model that transcribes is installed.
 *
 * @param {object} props
 * @param {(text: string) => void} props.onText
 * @param {(message: string) => void} [props.onError] instead of a notice
 */
export function DictateButton({onText, onError = (message) => showToast(message, "error")}) {
  const models = useSoundModels();
  const control = useRef(null);
  const [isTranscribing, setTranscribing] = useState(false);
  useEffect(() => () => control.current?.abort(), []);
  const onFile = async (file) => {
    const own = new AbortController();
    control.current = own;
    setTranscribing(true);
    try {
      const text = (await transcribe(file, preferred(models.transcription).id, own.signal)).trim();
      if (text) onText(text);
      else onError(t("media.no_speech"));
    } catch (error) {
      if (!own.signal.aborted) onError(describeError(error));
    } finally {
      setTranscribing(false);
    }
  };
  const recording = useRecording({onFile, onError});
  const place = useRef(null);
  useKeptFocus(place, ".icon-button-primary", recording.state);
  if (!models?.transcription.length) return null;
  if (isTranscribing || recording.state === "finishing") {
    return html`
      <span ref=${place} class="dictate" role="status">
        <span class="waiting" aria-hidden="true"></span><span class="muted">${t("media.transcribing")}</span>
        <${IconButton} icon="close" label=${t("media.stop_transcribing")} onClick=${() => control.current?.abort()} />
      </span>`;
  }
  if (recording.state === "recording") {
    const onKeyDown = (event) => event.key === "Escape" && recording.discard();
    return html`
      <span ref=${place} class="dictate dictate-active" onKeyDown=${onKeyDown}>
        <${IconButton} icon="close" label=${t("media.discard")} onClick=${recording.discard} />
        <${LevelMeter} recorder=${recording.recorder} />
        <${IconButton} icon="check" kind="primary" label=${t("media.finish")} onClick=${recording.finish} />
      </span>`;
  }
  const isAsking = recording.state === "asking";
  return html`
    <span ref=${place} class="dictate">
      <${IconButton} icon="microphone" label=${isAsking ? t("media.asking") : t("media.dictate")}
        aria-busy=${isAsking} onClick=${isAsking ? recording.discard : recording.start} />
    </span>`;
}

function preferred(models) {
  return models.find((model) => model.loaded) ?? models[0];
}
