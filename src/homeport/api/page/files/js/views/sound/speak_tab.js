/**
 * Speaking: a text, a voice, and what was spoken in this visit.
 */
import {Button} from "../../components/button.js";
import {SelectField} from "../../components/field.js";
import {describeError} from "../../errors.js";
import {formatBytes, formatNumber} from "../../format.js";
import {html, useRef, useState} from "../../html.js";
import {t} from "../../i18n.js";
import {useKeptFocus} from "../../media/focus.js";
import {chooseVoice, chosenVoice} from "../../media/voices.js";
import {useSignal} from "../../signal.js";
import {lastingStorage} from "../../storage.js";
import {NoModel} from "./no_model.js";
import {SpokenList} from "./spoken_list.js";
import {MAX_CHARS, SPEECH_FORMATS, Speaking} from "./speaking.js";
import {VoiceField} from "./voice_field.js";

/** It stays while another view is shown. */
const speaking = new Speaking();
const SPEEDS = [0.5, 0.75, 0.9, 1, 1.1, 1.25, 1.5, 2];
let draft = "";

/** @param {{models: import("../../models.js").Model[]}} props */
export function SpeakTab({models}) {
  const known = models.filter((model) => model.capabilities.includes("speech"));
  const [text, setText] = useState(draft);
  const [voice, setVoice] = useState(chosenVoice());
  const [speed, setSpeed] = useState("1");
  const [format, setFormat] = useState(lastingStorage.read("speech-format") ?? "mp3");
  const [chosen, setChosen] = useState(null);
  const {isWorking, received, error, spoken} = useSignal(speaking.state);
  const actions = useRef(null);
  useKeptFocus(actions, ".button", isWorking);
  if (!known.length) return html`<${NoModel} title=${t("sound.no_speech_model")} name="kokoro-82m" />`;
  const model = known.find(({id}) => id === chosen) ?? known.find(({loaded}) => loaded) ?? known[0];
  const isTooLong = text.length > MAX_CHARS;
  const write = (event) => {
    draft = event.target.value;
    setText(draft);
  };
  const speak = (event) => {
    event.preventDefault();
    if (text.trim() && !isTooLong) speaking.speak({model: model.id, text, voice, speed: Number(speed), format});
  };
  const submitByKeys = (event) => event.key === "Enter" && (event.ctrlKey || event.metaKey) && speak(event);
  return html`
    <form class="sound" onSubmit=${speak}>
      <div class="field">
        <label for="speech-text">${t("sound.text")}</label>
        <textarea id="speech-text" class="input text-area" rows="6" value=${text} placeholder=${t("sound.text_hint")}
          aria-describedby="speech-count" aria-invalid=${isTooLong} onInput=${write}
          onKeyDown=${submitByKeys}></textarea>
        <p id="speech-count" class=${isTooLong ? "field-error" : "field-hint"}>
          ${t("sound.characters", {count: formatNumber(text.length), limit: formatNumber(MAX_CHARS)})}</p>
      </div>
      <div class="form-grid">
        ${known.length > 1 && html`
          <${SelectField} label=${t("sound.model")} value=${model.id} onChoose=${setChosen}
            options=${known.map(({id}) => ({value: id, name: id}))} />`}
        <${VoiceField} voices=${model.voices ?? []} value=${voice} onChoose=${(name) => {
          chooseVoice(name);
          setVoice(name);
        }} />
        <${SelectField} label=${t("sound.speed")} value=${speed} onChoose=${setSpeed}
          options=${SPEEDS.map((each) => ({value: String(each), name: `${formatNumber(each, 2)} ×`}))} />
        <${SelectField} label=${t("sound.format")} value=${format} options=${SPEECH_FORMATS}
          onChoose=${(value) => {
            lastingStorage.write("speech-format", value);
            setFormat(value);
          }} />
      </div>
      <div ref=${actions} class="button-row">
        ${isWorking
          ? html`<${Button} key="stop" icon="stop" onClick=${() => speaking.stop()}>${t("sound.stop")}<//>
              <span class="muted" role="status">
                ${received ? t("sound.speaking_size", {size: formatBytes(received)}) : t("sound.speaking")}</span>`
          : html`<${Button} key="speak" kind="primary" type="submit" icon="sound"
              disabled=${!text.trim() || isTooLong}>
              ${t("sound.run_speak")}<//>`}
      </div>
      ${Boolean(error) && html`<p class="notice notice-error" role="alert">${describeError(error)}</p>`}
    </form>
    <${SpokenList} spoken=${spoken} onRemove=${(id) => speaking.remove(id)} />`;
}
