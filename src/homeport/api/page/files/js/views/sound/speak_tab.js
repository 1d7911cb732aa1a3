/**
 * Speaking: a text, a voice, and what was spoken in this visit.
 */
import {SelectField} from "../../components/field.js";
import {formatNumber} from "../../format.js";
import {html, useState} from "../../html.js";
import {t} from "../../i18n.js";
import {chooseVoice, chosenVoice} from "../../media/voices.js";
import {whenOwnerChanges} from "../../owner.js";
import {useSignal} from "../../signal.js";
import {lastingStorage} from "../../storage.js";
import {MakeButton} from "./make_button.js";
import {NoModel} from "./no_model.js";
import {SoundList} from "./sound_list.js";
import {PLAYED_FORMATS, SoundRequests} from "./sound_requests.js";
import {describeVoice, VoiceField} from "./voice_field.js";

/** It stays while another view is shown. */
const speaking = new SoundRequests("/v1/audio/speech");
const SPEEDS = [0.5, 0.75, 0.9, 1, 1.1, 1.25, 1.5, 2];
/** The server reads at most this at once. */
const MAX_CHARS = 4096;
let draft = "";
whenOwnerChanges(() => {
  draft = "";
});

/** @param {{models: import("../../models.js").Model[]}} props */
export function SpeakTab({models}) {
  const known = models.filter((model) => model.capabilities.includes("speech"));
  const [text, setText] = useState(draft);
  const [voice, setVoice] = useState(chosenVoice());
  const [speed, setSpeed] = useState("1");
  const [format, setFormat] = useState(lastingStorage.read("speech-format") ?? "mp3");
  const [chosen, setChosen] = useState(null);
  const state = useSignal(speaking.state);
  if (!known.length) return html`<${NoModel} title=${t("sound.no_speech_model")} name="kokoro-82m" />`;
  const model = known.find(({id}) => id === chosen) ?? known.find(({loaded}) => loaded) ?? known[0];
  const isTooLong = text.length > MAX_CHARS;
  const write = (event) => {
    draft = event.target.value;
    setText(draft);
  };
  const speak = (event) => {
    event.preventDefault();
    if (!text.trim() || isTooLong) return;
    const body = {model: model.id, input: text, voice, speed: Number(speed), response_format: format};
    speaking.make(body, {text, detail: describeVoice(voice), format});
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
        <${SelectField} label=${t("sound.format")} value=${format} options=${PLAYED_FORMATS}
          onChoose=${(value) => {
            lastingStorage.write("speech-format", value);
            setFormat(value);
          }} />
      </div>
      <${MakeButton} label=${t("sound.run_speak")} disabled=${!text.trim() || isTooLong} state=${state}
        onStop=${() => speaking.stop()} />
    </form>
    <${SoundList} title=${t("sound.spoken")} sounds=${state.sounds} onRemove=${(id) => speaking.remove(id)} />`;
}
