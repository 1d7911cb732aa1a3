/**
 * What the model wrote: its reasoning, the answer as Markdown, and below it what it took.
 */
import {Button, IconButton} from "../../components/button.js";
import {lazy} from "../../components/lazy.js";
import {ApiError} from "../../client.js";
import {describeError} from "../../errors.js";
import {formatNumber, formatSeconds} from "../../format.js";
import {html, useState} from "../../html.js";
import {t} from "../../i18n.js";
import {Markdown} from "../../text/markdown.js";
import {AnswerActions} from "./answer_actions.js";
import {BranchSwitch} from "./branch_switch.js";
import {copyWithNotice} from "./copy.js";
import {resultsOf} from "./tool_calls/call_list.js";

const SchemaAnswer = lazy(() => import("./schema_answer/schema_answer.js").then((module) => module.SchemaAnswer));
const TokenProbabilities = lazy(
  () => import("./probabilities/token_probabilities.js").then((module) => module.TokenProbabilities));
const ToolCalls = lazy(() => import("./tool_calls/tool_calls.js").then((module) => module.ToolCalls));

const JSON_FORMATS = ["json_object", "json_schema"];
const SHORT_S = 0.1;
const FAST = 100; // above this, fractions say nothing

/** @param {Parameters<typeof import("./message.js").MessageView>[0]} props */
export function Answer(props) {
  const {node, conversation, isWriting: isBusy} = props;
  const {message, state, model} = node;
  const isWriting = state === "writing";
  const [areTokensShown, showTokens] = useState(false);
  const text = message.content || message.refusal || message.audio?.transcript || "";
  const isSilent = !text && !message.reasoning_content && !message.tool_calls;
  return html`
    <article class="message message-assistant" aria-label=${model}>
      ${message.reasoning_content && html`
        <${Reasoning} node=${node} isOver=${!isWriting || Boolean(text)} />`}
      ${areTokensShown
        ? html`<${TokenProbabilities} entries=${node.logprobs.content} />`
        : text && html`<${Text} node=${node} text=${text} isWriting=${isWriting} />`}
      ${message.tool_calls && html`<${Calls} ...${props} />`}
      ${isWriting && isSilent && html`<span class="waiting" role="status" aria-label=${t("chat.waiting")}></span>`}
      ${state === "done" && isSilent && html`<p class="muted">${t("chat.nothing")}</p>`}
      ${state === "failed" && html`
        <div class="notice notice-error message-error">
          <span role="alert">${describeProblem(node.error)}</span>
          <${Button} icon="retry" disabled=${isBusy} onClick=${() => conversation.retry(node)}>
            ${t("shell.retry")}<//>
        </div>`}
      ${node.measured?.finishReason === "length" && html`<p class="message-cut">${t("chat.cut")}</p>`}
      ${!isWriting && html`
        <${Foot} ...${props} text=${text} areTokensShown=${areTokensShown} showTokens=${showTokens} />`}
    </article>`;
}

function Text({node, text, isWriting}) {
  const isJson = JSON_FORMATS.includes(node.request?.response_format?.type);
  if (isJson && !node.message.tool_calls) {
    return html`<${SchemaAnswer} text=${text} request=${node.request} isWriting=${isWriting} />`;
  }
  return html`<${Markdown} text=${text} isWhole=${!isWriting} />`;
}

/** The calls of the answer, with the results that follow it; at the conversation's end they can be given. */
function Calls({node, conversation, results, isLast}) {
  const ids = results.split(" ");
  const given = resultsOf(conversation.path().filter(({id}) => ids.includes(id)));
  const canAnswer = isLast && (node.state === "done" || node.state === "stopped");
  return html`
    <${ToolCalls} message=${node.message} results=${given} isWriting=${node.state === "writing"}
      onAnswer=${canAnswer ? (messages) => conversation.answerTools(messages) : null} />`;
}

function Reasoning({node, isOver}) {
  const {message, measured} = node;
  const seconds = measured?.reasoningS ?? 0;
  const past = seconds < SHORT_S ? t("chat.reasoning") : t("chat.reasoned", {time: formatSeconds(seconds)});
  return html`
    <details class="reasoning"><summary class=${isOver ? "" : "reasoning-running"}>
        ${isOver ? past : t("chat.reasoning_now")}</summary>
      <${Markdown} text=${message.reasoning_content} isWhole=${isOver} />
    </details>`;
}

/** What is known of the answer, and what can be done with it. */
function Foot({node, conversation, index, count, isWriting, text, areTokensShown, showTokens}) {
  const {state, model, measured} = node;
  const isFailed = state === "failed"; // the error has its own way to try again
  const isWithoutText = isFailed && !text;
  const parts = [
    ...(model ? [model] : []),
    ...(state === "stopped" ? [t("chat.stopped")] : []),
    ...(measured && !isWithoutText ? measures(measured) : []),
  ];
  return html`
    <footer class="message-foot">
      <${BranchSwitch} node=${node} conversation=${conversation} index=${index} count=${count}
        isWriting=${isWriting} />
      <span class="message-measures" title=${details(measured)}>${parts.join(" · ")}</span>
      <span class="message-actions">
        ${text && html`
          <${IconButton} icon="copy" label=${t("chat.copy")} onClick=${() => copyWithNotice(text)} />`}
        <${AnswerActions} node=${node} text=${text} areTokensShown=${areTokensShown} showTokens=${showTokens} />
        ${!isFailed && html`
          <${IconButton} icon="retry" label=${t("chat.again")} disabled=${isWriting}
            onClick=${() => conversation.retry(node)} />`}
      </span>
    </footer>`;
}

/** Tokens, seconds, their rate, and the time to the first token, as far as they are known. */
function measures({firstS, totalS, tokens}) {
  const rate = tokens > 1 && totalS > firstS ? (tokens - 1) / (totalS - firstS) : null;
  return [
    ...(tokens === null ? [] : [tokens === 1 ? t("chat.token") : t("chat.tokens", {count: formatNumber(tokens)})]),
    formatSeconds(totalS),
    ...(rate === null ? [] : [t("chat.rate", {rate: formatNumber(rate, rate < FAST ? 1 : 0)})]),
    ...(firstS === null ? [] : [t("chat.first", {time: formatSeconds(firstS)})]),
  ];
}

/** More about the answer: why it ended, and the tokens of its prompt. */
function details(measured) {
  if (!measured) return undefined;
  const {finishReason, promptTokens, cachedTokens} = measured;
  const lines = [
    ...(finishReason ? [t("chat.finish_reason", {reason: finishReason})] : []),
    ...(promptTokens === null ? [] : [t("chat.prompt_tokens", {count: formatNumber(promptTokens)})]),
    ...(cachedTokens ? [t("chat.cached_tokens", {count: formatNumber(cachedTokens)})] : []),
  ];
  return lines.length ? lines.join("\n") : undefined;
}

/** @param {import("./tree.js").Node["error"]} error */
function describeProblem(error) {
  if (error?.code === "incomplete" && error.status === null) return t("chat.incomplete");
  return describeError(error?.status === null || !error ? error : new ApiError(error.status, error));
}
