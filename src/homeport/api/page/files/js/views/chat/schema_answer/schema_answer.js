/**
 * An answer that had to be JSON: laid out for reading, with a mark that says whether it is what was asked for.
 */
import {html, useMemo} from "../../../html.js";
import {t} from "../../../i18n.js";
import {Icon} from "../../../icons.js";
import {CodeBlock} from "../../../text/code_block.js";
import {prettyJson} from "../tool_calls/pretty_json.js";
import {findDifference} from "./json_schema.js";

/** @param {{text: string, request: any, isWriting: boolean}} props `request`: the body that was sent */
export function SchemaAnswer({text, request, isWriting}) {
  const pretty = useMemo(() => prettyJson(text), [text]);
  return html`
    <div class="json-answer">
      <${CodeBlock} code=${isWriting ? text : pretty.text} language="json" isClosed=${!isWriting} />
      ${!isWriting && html`<${Mark} ...${verdict(pretty, request.response_format)} />`}
    </div>`;
}

function Mark({isRight, text}) {
  return html`
    <p class=${isRight ? "json-mark" : "json-mark json-mark-wrong"}>
      <${Icon} name=${isRight ? "check" : "warning"} /><span>${text}</span>
    </p>`;
}

function verdict({isJson, value}, format) {
  if (!isJson) return {isRight: false, text: t("chat.json_incomplete")};
  if (format.type === "json_object") return {isRight: true, text: t("chat.json_valid")};
  const place = findDifference(value, format.json_schema?.schema);
  if (place === null) return {isRight: true, text: t("chat.schema_matches")};
  return {isRight: false, text: t("chat.schema_differs", {place: place.slice(0, 200)})};
}
