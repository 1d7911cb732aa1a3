/**
 * Composing: a prompt, lyrics if it is to be sung, and the music of this visit.
 */
import {SelectField, TextAreaField, TextField} from "../../components/field.js";
import {formatSeconds} from "../../format.js";
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
import {VoiceField} from "./voice_field.js";

/** They stay while another view is shown. */
const composing = new SoundRequests("/v1/audio/music");
const EMPTY = {prompt: "", lyrics: "", seconds: "30", seed: ""};
let draft = EMPTY;
whenOwnerChanges(() => {
  draft = EMPTY;
});

const LENGTHS_S = [10, 20, 30, 60, 120];
/** Notes for other programs: browsers do not play them. */
const FORMATS = [...PLAYED_FORMATS, {value: "midi", name: "MIDI"}];
const SEEDS = 1_000_000;

/** @param {{models: import("../../models.js").Model[]}} props */
export function ComposeTab({models}) {
  const [fields, setFields] = useState(draft);
  const [voice, setVoice] = useState(chosenVoice());
  const [format, setFormat] = useState(lastingStorage.read("music-format") ?? "mp3");
  const state = useSignal(composing.state);
  const known = models.filter((model) => model.capabilities.includes("music"));
  const voices = models.find((model) => model.capabilities.includes("speech"))?.voices ?? [];
  if (!known.length) return html`<${NoModel} title=${t("sound.no_music_model")} name="homeport-tunes" />`;
  const model = known.find(({loaded}) => loaded) ?? known[0];
  const {prompt, lyrics, seconds, seed} = fields;
  const change = (name) => (event) => {
    draft = {...draft, [name]: event.target?.value ?? event};
    setFields(draft);
  };
  const isReady = Boolean(prompt.trim() || lyrics.trim());
  const compose = (event) => {
    event.preventDefault();
    if (!isReady) return;
    const used = seed ? Number(seed) : crypto.getRandomValues(new Uint32Array(1))[0] % SEEDS;
    const sung = lyrics.trim() && format !== "midi" ? {lyrics, voice} : {};
    const body = {model: model.id, prompt: prompt.trim() || t("sound.song"), seconds: Number(seconds), seed: used,
      response_format: format, ...sung};
    composing.make(body, {text: prompt.trim() || lyrics, detail: t("sound.seed_used", {seed: used}), format});
  };
  return html`
    <form class="sound" onSubmit=${compose}>
      <${TextField} label=${t("sound.music_prompt")} hint=${t("sound.music_hint")} value=${prompt}
        onInput=${change("prompt")} />
      <${TextAreaField} label=${t("sound.lyrics")} hint=${t("sound.lyrics_hint")} rows="4" value=${lyrics}
        onInput=${change("lyrics")} />
      <div class="form-grid">
        <${SelectField} label=${t("sound.length")} value=${seconds} onChoose=${change("seconds")}
          options=${LENGTHS_S.map((each) => ({value: String(each), name: formatSeconds(each)}))} />
        ${lyrics.trim() && html`
          <${VoiceField} voices=${voices} value=${voice} onChoose=${(name) => {
            chooseVoice(name);
            setVoice(name);
          }} />`}
        <${TextField} label=${t("sound.seed")} hint=${t("sound.seed_hint")} inputmode="numeric" pattern="[0-9]{1,9}"
          value=${seed} onInput=${change("seed")} />
        <${SelectField} label=${t("sound.format")} value=${format} options=${FORMATS}
          onChoose=${(value) => {
            lastingStorage.write("music-format", value);
            setFormat(value);
          }} />
      </div>
      <${MakeButton} label=${t("sound.run_compose")} disabled=${!isReady} state=${state}
        onStop=${() => composing.stop()} />
    </form>
    <${SoundList} title=${t("sound.composed")} sounds=${state.sounds} onRemove=${(id) => composing.remove(id)} />`;
}
