/**
 * The sound view: speech to text, and text to speech.
 */
import {ErrorState, Skeleton} from "../../components/states.js";
import {Tabs} from "../../components/tabs.js";
import {describeError} from "../../errors.js";
import {html} from "../../html.js";
import {addWords, t} from "../../i18n.js";
import {listModels} from "../../models.js";
import {useResource} from "../../resource.js";
import {addressOf, replaceAddress, route} from "../../router.js";
import {useSignal} from "../../signal.js";
import {SpeakTab} from "./speak_tab.js";
import {TranscribeTab} from "./transcribe_tab.js";
import english from "./words/en.js";
import chinese from "./words/zh.js";

addWords({en: english, zh: chinese});

/** The view. */
export default function Sound() {
  const {rest} = useSignal(route);
  const {value, error, reload} = useResource(listModels);
  const chosen = rest[0] === "speak" ? "speak" : "transcribe";
  const tabs = [
    {name: "transcribe", title: t("sound.transcribe")},
    {name: "speak", title: t("sound.speak")},
  ];
  const content = () => {
    if (error && !value) {
      return html`<${ErrorState} title=${t("shell.models_failed")} text=${describeError(error)}
        action=${t("shell.retry")} onAction=${reload} />`;
    }
    if (!value) return html`<${Skeleton} lines=${4} />`;
    return chosen === "speak" ? html`<${SpeakTab} models=${value} />` : html`<${TranscribeTab} models=${value} />`;
  };
  return html`
    <div class="page-body">
      <header class="page-head"><h1>${t("sound.title")}</h1><p class="muted">${t("sound.about")}</p></header>
      <div>
        <${Tabs} label=${t("sound.title")} tabs=${tabs} chosen=${chosen}
          onChoose=${(name) => replaceAddress(addressOf("sound", name))}>${content()}<//>
      </div>
    </div>`;
}
