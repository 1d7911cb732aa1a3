/**
 * Transcribing: a recording, how it is transcribed, and the transcript.
 */
import {Button} from "../../components/button.js";
import {SelectField, TextField} from "../../components/field.js";
import {html, useRef, useState} from "../../html.js";
import {language as pageLanguage, t} from "../../i18n.js";
import {useSignal} from "../../signal.js";
import {lastingStorage} from "../../storage.js";
import {languageOptions} from "./languages.js";
import {NoModel} from "./no_model.js";
import {Source} from "./source.js";
import {Transcript} from "./transcript.js";
import {Transcription} from "./transcription.js";

/** It stays while another view is shown. */
const transcription = new Transcription();
let kept = {isTranslated: false, language: null, prompt: "", temperature: ""};

/** @param {{models: import("../../models.js").Model[]}} props */
export function TranscribeTab({models}) {
  const known = models.filter((model) => model.capabilities.includes("transcriptions"));
  const {file, state, segments, error} = useSignal(transcription.state);
  const [options, setOptions] = useState(kept);
  const [chosen, setChosen] = useState(lastingStorage.read("transcription-model"));
  const [seconds, setSeconds] = useState(0);
  const [position, setPosition] = useState(0);
  const player = useRef(null);
  if (!known.length) return html`<${NoModel} title=${t("sound.no_transcription")} name="whisper-base" />`;
  const model = known.find(({id}) => id === chosen) ?? known.find(({loaded}) => loaded) ?? known[0];
  const change = (fields) => {
    kept = {...options, ...fields};
    setOptions(kept);
  };
  const chooseModel = (id) => {
    lastingStorage.write("transcription-model", id);
    setChosen(id);
  };
  const choose = (next) => {
    setSeconds(0);
    setPosition(0);
    transcription.choose(next);
  };
  const isTranslated = options.isTranslated && model.capabilities.includes("translations");
  // Detection knows no script: who reads this page in Chinese gets simplified characters.
  const language = options.language ?? (pageLanguage.get() === "zh" ? "zh-hans" : "");
  const run = () => transcription.run({...options, isTranslated, language, model: model.id});
  return html`
    <div class="sound">
      <${Source} file=${file} onChoose=${choose} control=${player} onTime=${setPosition} onLength=${setSeconds} />
      ${file && html`
        <${OptionFields} models=${known} model=${model} options=${{...options, isTranslated, language}}
          onChange=${change} onModel=${chooseModel} />
        <div class="button-row">
          ${state === "working"
            ? html`<${Button} icon="stop" onClick=${() => transcription.stop()}>${t("sound.stop")}<//>`
            : html`<${Button} kind="primary" onClick=${run}>
                ${segments.length ? t("sound.run_again") : t("sound.run")}<//>`}
        </div>
        <${Transcript} state=${state} segments=${segments} error=${error} seconds=${seconds} position=${position}
          name=${file.name} onEdit=${(id, text) => transcription.edit(id, text)}
          onPlay=${({start, end}) => player.current?.playFrom(start, end)} />`}
    </div>`;
}

function OptionFields({models, model, options, onChange, onModel}) {
  const {isTranslated, language, prompt, temperature} = options;
  const outputs = [
    {value: "spoken", name: t("sound.as_spoken")},
    {value: "english", name: t("sound.into_english")},
  ];
  return html`
    <div class="form-grid">
      ${models.length > 1 && html`
        <${SelectField} label=${t("sound.model")} value=${model.id} onChoose=${onModel}
          options=${models.map(({id}) => ({value: id, name: id}))} />`}
      ${!isTranslated && html`
        <${SelectField} label=${t("sound.language")} value=${language} options=${languageOptions()}
          onChoose=${(value) => onChange({language: value})} />`}
      ${model.capabilities.includes("translations") && html`
        <${SelectField} label=${t("sound.output")} value=${isTranslated ? "english" : "spoken"} options=${outputs}
          onChoose=${(value) => onChange({isTranslated: value === "english"})} />`}
    </div>
    <details class="more-options">
      <summary>${t("sound.more_options")}</summary>
      <div class="form-grid">
        <${TextField} label=${t("sound.prompt")} hint=${t("sound.prompt_hint")} value=${prompt}
          onInput=${(event) => onChange({prompt: event.target.value})} />
        <${TextField} label=${t("sound.temperature")} hint=${t("sound.temperature_hint")} type="number" min="0" max="1"
          step="0.1" value=${temperature} placeholder="0"
          onInput=${(event) => onChange({temperature: event.target.value})} />
      </div>
    </details>`;
}
