/**
 * A button that reads a text aloud, and stops it.
 */
import {IconButton} from "../components/button.js";
import {showToast} from "../components/toast.js";
import {describeError} from "../errors.js";
import {html, useEffect, useRef, useState} from "../html.js";
import {t} from "../i18n.js";
import {useSoundModels} from "./sound_models.js";
import {SpeechPlayer} from "./speech_player.js";
import {spokenText} from "./spoken_text.js";
import {chosenVoice} from "./voices.js";

/**
 * Nothing, if no model that speaks is installed.
 *
 * @param {{text: string}} props `text`: Markdown
 */
export function SpeakButton({text}) {
  const models = useSoundModels();
  const player = useRef(null);
  const [state, setState] = useState("idle");
  useEffect(() => () => player.current?.stop(), []);
  const model = models?.speech.find((each) => each.loaded) ?? models?.speech[0];
  if (!model) return null;
  const play = async () => {
    const input = spokenText(text);
    if (!input) return showToast(t("media.nothing_to_speak"), "error");
    const own = new SpeechPlayer();
    player.current = own;
    setState("waiting");
    try {
      await own.play({model: model.id, voice: chosenVoice(), text: input}, () => setState("speaking"));
    } catch (error) {
      showToast(describeError(error), "error");
    }
    if (player.current === own) setState("idle");
    return undefined;
  };
  if (state === "idle") return html`<${IconButton} icon="sound" label=${t("media.speak")} onClick=${play} />`;
  const label = state === "waiting" ? t("media.speech_begins") : t("media.stop_speaking");
  return html`
    <${IconButton} icon="stop" label=${label} aria-busy=${state === "waiting"}
      onClick=${() => player.current.stop()} />`;
}
