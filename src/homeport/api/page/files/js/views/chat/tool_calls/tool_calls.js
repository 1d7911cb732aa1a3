/**
 * The tool calls of an answer as cards, each with its arguments and its result; open ones are answered by hand.
 */
import {Button} from "../../../components/button.js";
import {html, useMemo, useState} from "../../../html.js";
import {t} from "../../../i18n.js";
import {Icon} from "../../../icons.js";
import {CodeBlock} from "../../../text/code_block.js";
import {callsOf, toToolMessages} from "./call_list.js";
import {prettyJson} from "./pretty_json.js";

let count = 0;

/**
 * @param {object} props
 * @param {any} props.message OpenAI's message of role assistant
 * @param {Map<string, string>} props.results by the ids of the calls
 * @param {boolean} props.isWriting
 * @param {((messages: object[]) => void) | null} props.onAnswer sends the results; null: they cannot be given here
 */
export function ToolCalls({message, results, isWriting, onAnswer}) {
  const calls = callsOf(message);
  const [written, setWritten] = useState({});
  if (!calls.length) return null;
  const isOpen = onAnswer !== null && !isWriting && calls.some(({id}) => !results.has(id));
  const isComplete = calls.every(({id}) => written[id]?.trim());
  const submit = (event) => {
    event.preventDefault();
    if (isComplete) onAnswer(toToolMessages(calls, written));
  };
  const onKeyDown = (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) submit(event);
  };
  const write = (id) => (text) => setWritten((before) => ({...before, [id]: text}));
  return html`
    <form class="calls" onSubmit=${submit} onKeyDown=${onKeyDown}>
      ${calls.map((call, i) => html`
        <${CallCard} key=${call.id || i} call=${call} isWriting=${isWriting} result=${results.get(call.id)}
          written=${written[call.id] ?? ""} onWrite=${isOpen ? write(call.id) : null} />`)}
      ${isOpen && html`
        <div class="calls-foot">
          <p class="muted">${calls.length > 1 ? t("chat.calls_hint_many") : t("chat.calls_hint")}</p>
          <${Button} kind="primary" type="submit" disabled=${!isComplete}>
            ${calls.length > 1 ? t("chat.send_results") : t("chat.send_result")}
          <//>
        </div>`}
    </form>`;
}

function CallCard({call, isWriting, result, written, onWrite}) {
  const {name, input, isText} = call;
  const {text, isJson} = isText ? {text: input, isJson: false} : prettyJson(input);
  return html`
    <section class="call" aria-label=${t("chat.call_of", {name})}>
      <header class="call-head">
        <${Icon} name="tool" /><code class="call-name" title=${name}>${name}</code>
        <span class="muted">${t("chat.call")}</span>
      </header>
      ${input && html`<${CodeBlock} code=${text} language=${isJson ? "json" : ""} isClosed=${!isWriting} />`}
      ${result !== undefined && html`
        <div class="call-result"><span class="muted">${t("chat.result")}</span><${Result} text=${result} /></div>`}
      ${result === undefined && onWrite && html`<${ResultField} name=${name} value=${written} onWrite=${onWrite} />`}
    </section>`;
}

function Result({text}) {
  const {text: shown, isJson, value} = prettyJson(text);
  if (isJson && typeof value === "object") return html`<${CodeBlock} code=${shown} language="json" isClosed=${true} />`;
  return html`<pre class="call-text" tabindex="0">${text}</pre>`;
}

function ResultField({name, value, onWrite}) {
  const id = useMemo(() => `result-${++count}`, []);
  return html`
    <div class="field">
      <label for=${id}>${t("chat.result_of", {name})}</label>
      <textarea id=${id} class="input area area-code" rows="2" value=${value} spellcheck="false"
        placeholder=${t("chat.result_placeholder")} onInput=${(event) => onWrite(event.target.value)}></textarea>
    </div>`;
}
