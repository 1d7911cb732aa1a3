/**
 * The choice of a voice: all of the model's, grouped by their languages.
 */
import {html} from "../../html.js";
import {languageTag, t} from "../../i18n.js";
import {BILINGUAL_VOICES, voiceLanguage} from "../../media/voices.js";

const ORDER = ["zh", "en-US", "en-GB"];

/** @param {{voices: string[], value: string, onChoose: (name: string) => void}} props */
export function VoiceField({voices, value, onChoose}) {
  const groups = groupVoices(voices);
  return html`
    <div class="field">
      <label for="speech-voice">${t("sound.voice")}</label>
      <select id="speech-voice" class="input select" value=${value} onChange=${(event) => onChoose(event.target.value)}>
        ${groups.map((group) => html`
          <optgroup key=${group.label} label=${group.label}>
            ${group.voices.map((name) => html`
              <option key=${name} value=${name} selected=${name === value}>${describeVoice(name)}</option>`)}
          </optgroup>`)}
      </select>
    </div>`;
}

/** Return a voice's name as people read it: `zf_xiaobei` is Xiaobei, a woman. */
export function describeVoice(name) {
  const known = voiceLanguage(name) !== undefined;
  const word = known ? name.slice(3) : name;
  const title = word.charAt(0).toUpperCase() + word.slice(1);
  if (!known) return title;
  return name[1] === "f" ? t("sound.voice_female", {name: title}) : t("sound.voice_male", {name: title});
}

function groupVoices(voices) {
  const names = new Intl.DisplayNames(languageTag(), {type: "language"});
  const byLanguage = Map.groupBy(voices, (name) => voiceLanguage(name) ?? "");
  const place = (code) => (ORDER.includes(code) ? ORDER.indexOf(code) : ORDER.length);
  const codes = [...byLanguage.keys()].sort((a, b) => place(a) - place(b) || a.localeCompare(b));
  return [
    {label: t("sound.bilingual"), voices: BILINGUAL_VOICES},
    ...codes.map((code) => ({label: code ? names.of(code) : t("sound.other_voices"), voices: byLanguage.get(code)})),
  ];
}
