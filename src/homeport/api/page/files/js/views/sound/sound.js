/**
 * The sound view: speech to text, text to speech, and music.
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
import {ComposeTab} from "./compose_tab.js";
import {SpeakTab} from "./speak_tab.js";
import {TranscribeTab} from "./transcribe_tab.js";
import english from "./words/en.js";
import chinese from "./words/zh.js";

addWords({en: english, zh: chinese});

const TABS = {transcribe: TranscribeTab, speak: SpeakTab, compose: ComposeTab};

/** The view. */
export default function Sound() {
  const {rest} = useSignal(route);
  const {value, error, reload} = useResource(listModels);
  const tabs = [
    {name: "transcribe", title: t("sound.transcribe")},
    {name: "speak", title: t("sound.speak")},
    {name: "compose", title: t("sound.compose")},
  ];
  const chosen = tabs.find(({name}) => name === rest[0])?.name ?? "transcribe";
  const content = () => {
    if (error && !value) {
      return html`<${ErrorState} title=${t("shell.models_failed")} text=${describeError(error)}
        action=${t("shell.retry")} onAction=${reload} />`;
    }
    if (!value) return html`<${Skeleton} lines=${4} />`;
    const Tab = TABS[chosen];
    return html`<${Tab} models=${value} />`;
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
