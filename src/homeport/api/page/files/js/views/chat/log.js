/**
 * The messages of a conversation. The log follows the text while its end is in sight.
 */
import {IconButton} from "../../components/button.js";
import {lazy} from "../../components/lazy.js";
import {EmptyState} from "../../components/states.js";
import {Component, html, useEffect, useLayoutEffect, useRef, useState} from "../../html.js";
import {language, t} from "../../i18n.js";
import {useSignal} from "../../signal.js";
import {preloadMarkdown} from "../../text/markdown.js";
import {placeResults} from "./tool_calls/call_list.js";

const loadMessages = () => import("./message.js").then((module) => module.MessageView);
const MessageView = lazy(loadMessages);
const NEAR_PX = 24;
const INPUT_MS = 500;
const INPUTS = ["wheel", "touchmove", "keydown", "pointerdown"];
const END_PX = 1e9; // more than any height: reading the real one would have the browser lay out the page at once

/**
 * @param {object} props
 * @param {import("./conversation.js").Conversation} props.conversation
 * @param {import("./tree.js").Node[]} props.messages
 * @param {boolean} props.isWriting
 * @param {boolean} props.isPending whether another conversation is about to be shown
 */
export function Log({conversation, messages, isWriting, isPending}) {
  const shown = useSignal(language);
  const log = useRef(null);
  const content = useRef(null);
  const {isAtEnd, onScroll, goToEnd} = useFollowing(log, content, isWriting);
  const results = placeResults(messages);
  const placed = new Set([...results.values()].flat());
  const lastQuestion = messages.findLast((node) => node.message.role !== "assistant");
  useEffect(() => {
    loadMessages();
    preloadMarkdown();
  }, []);
  useLayoutEffect(goToEnd, [conversation, lastQuestion?.id]);
  return html`
    <div class="chat-log-frame">
      <div ref=${log} class="chat-log" role="log" aria-label=${t("chat.log")} aria-busy=${isWriting} tabindex="0"
        onScroll=${onScroll}>
        <div ref=${content} class="chat-messages">
          ${messages.filter(({id}) => !placed.has(id)).map((node) => html`
            <${Row} key=${node.id} node=${node} conversation=${conversation} isWriting=${isWriting} language=${shown}
              results=${results.get(node.id)?.join(" ") ?? ""} isLast=${node === messages.at(-1)}
              place=${placeOf(conversation.siblings(node), node)} />`)}
        </div>
        ${!messages.length && !isPending && html`
          <${EmptyState} title=${t("chat.empty")} text=${t("chat.empty_hint")} />`}
      </div>
      ${!isAtEnd && html`<div class="chat-to-end"><${IconButton} icon="down" label=${t("chat.to_end")}
        onClick=${goToEnd} /></div>`}
    </div>`;
}

/** Which branch it is, as text, so that equal places are equal values. */
function placeOf(siblings, node) {
  return `${siblings.indexOf(node) + 1}/${siblings.length}`;
}

/** A message, which is drawn again only when something of it has changed. */
class Row extends Component {
  shouldComponentUpdate(next) {
    return Object.keys(next).some((name) => next[name] !== this.props[name]);
  }

  render({place, ...props}) {
    const [index, count] = place.split("/").map(Number);
    return html`<${MessageView} ...${props} index=${index} count=${count} />`;
  }
}

/**
 * Keep the end of the log in sight until the user moves away from it.
 *
 * That the end is out of sight does not tell who moved: messages also change their heights. So it counts when it
 * follows an input, or when the height is the same.
 */
function useFollowing(log, content, isWriting) {
  const [isAtEnd, setAtEnd] = useState(true);
  const state = useRef({isFollowing: true, height: 0, inputAt: -INPUT_MS}).current;
  const goToEnd = () => {
    Object.assign(state, {isFollowing: true, inputAt: -INPUT_MS});
    setAtEnd(true);
    log.current.scrollTop = END_PX;
  };
  const onScroll = () => {
    const {scrollTop, scrollHeight: height, clientHeight} = log.current;
    const isNear = height - scrollTop - clientHeight < NEAR_PX;
    const isMoved = performance.now() - state.inputAt < INPUT_MS || (!isWriting && height === state.height);
    if (isNear) state.isFollowing = true;
    else if (isMoved) state.isFollowing = false;
    state.height = height;
    setAtEnd(isNear);
  };
  const onInput = () => {
    state.inputAt = performance.now();
  };
  useLayoutEffect(() => {
    const element = log.current;
    const observer = new ResizeObserver(() => {
      if (state.isFollowing) element.scrollTop = END_PX;
    });
    observer.observe(content.current);
    observer.observe(element);
    for (const name of INPUTS) element.addEventListener(name, onInput, {passive: true});
    return () => observer.disconnect();
  }, []);
  return {isAtEnd, onScroll, goToEnd};
}
