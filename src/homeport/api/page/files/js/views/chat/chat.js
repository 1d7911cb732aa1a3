/**
 * The chat view: the list of conversations, and beside it one of them with its model and a field to write in.
 */
import {IconButton} from "../../components/button.js";
import {SelectField} from "../../components/field.js";
import {lazy} from "../../components/lazy.js";
import {EmptyState, ErrorState, Skeleton} from "../../components/states.js";
import {describeError} from "../../errors.js";
import {html, useEffect, useRef, useState} from "../../html.js";
import {addWords, t} from "../../i18n.js";
import {canChat, listModels} from "../../models.js";
import {useResource} from "../../resource.js";
import {addressOf, replaceAddress, route} from "../../router.js";
import {useSignal} from "../../signal.js";
import {Composer} from "./composer.js";
import {isPanelOpen, isWide, showPanel} from "./history/panel_state.js";
import {current, heads, openConversation, startNew} from "./history/library.js";
import {Log} from "./log.js";
import {abilitiesOf, abilityWords} from "./settings/model_abilities.js";
import {SettingsButton, SettingsPlace} from "./settings/settings_place.js";
import {changeSettings, chooseModel, settings} from "./settings_state.js";
import english from "./words/en.js";
import chinese from "./words/zh.js";

addWords({en: english, zh: chinese});

const History = lazy(() => import("./history/history_panel.js").then((module) => module.History));
const HistoryDrawer = lazy(() => import("./history/history_panel.js").then((module) => module.HistoryDrawer));
const PULL = "homeport pull qwen2.5-coder-0.5b";

/** The view. */
export default function Chat() {
  const {value, error, reload} = useResource(listModels);
  const {model: chosen} = useSignal(settings);
  const models = value?.filter(canChat) ?? [];
  const model = models.find((each) => each.id === chosen) ?? models.find((each) => each.loaded) ?? models[0];
  useEffect(() => {
    if (model) changeSettings({model: model.id, isTranscribed: abilitiesOf(model).isTranscribed});
  }, [model?.id, chosen, value]);
  const isWriting = useSignal(useSignal(current).writing);
  useEffect(() => {
    if (!isWriting && model && !model.loaded) reload(); // it says more of itself now
  }, [isWriting]);
  if (error && !value) {
    return html`<${ErrorState} title=${t("shell.models_failed")} text=${describeError(error)}
      action=${t("shell.retry")} onAction=${reload} />`;
  }
  if (!value) return html`<div class="page-body"><${Skeleton} lines=${4} /></div>`;
  if (!models.length) {
    return html`<${EmptyState} title=${t("chat.no_model")} text=${t("chat.no_model_hint")}><code>${PULL}</code><//>`;
  }
  return html`<${Frame} models=${models} model=${model} />`;
}

/** The list and the conversation that the address names. */
function Frame({models, model}) {
  const {isMissing, isPending} = useAddress();
  const wide = useSignal(isWide);
  const isOpen = useSignal(isPanelOpen);
  const conversation = useSignal(current);
  const close = () => showPanel(false);
  return html`
    <div class=${wide && isOpen ? "chat chat-with-history" : "chat"}>
      ${isOpen && (wide
        ? html`<aside class="history" aria-label=${t("chat.history")}><${History} onClose=${close} /></aside>`
        : html`<${HistoryDrawer} onClose=${close} />`)}
      <div class="chat-main">
        <${Head} models=${models} model=${model} hasPanel=${wide && isOpen} />
        ${isMissing ? html`<${Missing} />`
          : html`<${Talk} key=${conversation.id} conversation=${conversation} isPending=${isPending}
            abilities=${abilitiesOf(model)} />`}
      </div>
      <${SettingsPlace} conversation=${conversation} model=${model} />
    </div>`;
}

/** Show the conversation of the address, and name the one that is shown in it. Returns whether it is there. */
function useAddress() {
  const {rest: [asked]} = useSignal(route);
  const conversation = useSignal(current);
  const isListed = useSignal(heads).some((head) => head.id === conversation.id);
  const [missing, setMissing] = useState(null);
  const shown = useRef(conversation.id);
  useEffect(() => {
    if (!asked || asked === current.get().id) return undefined;
    let isCurrent = true;
    openConversation(asked).then((isFound) => isCurrent && setMissing(isFound ? null : asked));
    return () => {
      isCurrent = false;
    };
  }, [asked]);
  useEffect(() => {
    const isReplaced = asked === shown.current && asked !== conversation.id; // for example because it was deleted
    shown.current = conversation.id;
    if (isReplaced || (isListed && !asked)) replaceAddress(addressOf("chat", ...(isListed ? [conversation.id] : [])));
  }, [conversation, isListed, asked]);
  const isMissing = Boolean(asked) && missing === asked;
  return {isMissing, isPending: Boolean(asked) && asked !== conversation.id && !isMissing};
}

/** Begin a conversation, under an address without a name until it has a message. */
function beginNew() {
  startNew();
  replaceAddress(addressOf("chat"));
  document.querySelector(".composer textarea")?.focus();
}

function Head({models, model, hasPanel}) {
  const options = models.map((each) => ({value: each.id, name: [each.id, ...abilityWords(each)].join(" · ")}));
  const isEmpty = useSignal(useSignal(current).messages).length === 0;
  return html`
    <header class="chat-head">
      <h1 class="only-read">${t("chat.title")}</h1>
      ${!hasPanel && html`
        <${IconButton} icon="panel" label=${t("chat.history")} aria-expanded="false"
          onClick=${() => showPanel(true)} />`}
      <${SelectField} label=${t("chat.model")} isCompact=${true} value=${model.id} onChoose=${chooseModel}
        options=${options} title=${model.id} />
      <span class="chat-head-space"></span>
      <${SettingsButton} />
      ${!hasPanel && html`
        <${IconButton} icon="plus" label=${t("chat.new")} disabled=${isEmpty} onClick=${beginNew} />`}
    </header>`;
}

function Missing() {
  return html`
    <div class="chat-log"><${EmptyState} title=${t("chat.missing")} text=${t("chat.missing_hint")}>
      <button class="button" type="button" onClick=${beginNew}><span>${t("chat.new")}</span></button>
    <//></div>`;
}

/** One conversation. `isPending`: another one is being read from the browser's database. */
function Talk({conversation, abilities, isPending}) {
  const messages = useSignal(conversation.messages);
  const isWriting = useSignal(conversation.writing);
  return html`
    <${Log} conversation=${conversation} messages=${messages} isWriting=${isWriting} isPending=${isPending} />
    <${Composer} conversation=${conversation} abilities=${abilities} isWriting=${isWriting}
      onSend=${(message) => conversation.send(message)} onStop=${() => conversation.stop()} />`;
}
