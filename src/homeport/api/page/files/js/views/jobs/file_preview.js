/**
 * The beginning of a file: JSON Lines one by one, other text as it is.
 */
import {Button, IconButton} from "../../components/button.js";
import {DialogFrame} from "../../components/dialog.js";
import {Skeleton} from "../../components/states.js";
import {describeError} from "../../errors.js";
import {formatBytes} from "../../format.js";
import {html} from "../../html.js";
import {t} from "../../i18n.js";
import {useResource} from "../../resource.js";
import {downloadFile, readBeginning} from "./file_actions.js";

const MAX_LINES = 50;
const MAX_CHARS = 20_000;

/** @param {{file: {id: string, filename: string, bytes: number}, onClose: () => void}} props */
export function FilePreview({file, onClose}) {
  const {value, error} = useResource((signal) => readBeginning(file.id, signal), [file.id]);
  return html`
    <${DialogFrame} label=${file.filename} className="dialog dialog-wide" onClose=${onClose}>
      <header class="preview-head">
        <h2 title=${file.filename}>${file.filename}</h2><span class="muted">${formatBytes(file.bytes)}</span>
        <${IconButton} icon="close" label=${t("shell.close")} onClick=${onClose} />
      </header>
      ${Boolean(error) && html`<p class="notice notice-error" role="alert">${describeError(error)}</p>`}
      ${!value && !error && html`<${Skeleton} />`}
      ${value && html`<${Content} ...${value} />`}
      <div class="dialog-actions">
        <${Button} icon="download" onClick=${() => downloadFile(file.id, file.filename)}>${t("jobs.save")}<//>
      </div>
    <//>`;
}

function Content({text, isWhole}) {
  if (text === null) return html`<p class="notice">${t("jobs.not_text")}</p>`;
  if (!text.trim()) return html`<p class="notice">${t("jobs.empty_file")}</p>`;
  const lines = text.split("\n").filter((line) => line.trim());
  const whole = isWhole ? lines : lines.slice(0, -1); // the last one may be cut
  const shown = whole.slice(0, MAX_LINES).map(parse);
  if (!shown.length || shown.includes(null)) {
    return html`<pre class="preview" tabindex="0" aria-label=${t("jobs.content")}>${text.slice(0, MAX_CHARS)}</pre>`;
  }
  const isCut = !isWhole || whole.length > shown.length;
  return html`
    <ol class="preview" tabindex="0" aria-label=${t("jobs.content")}>
      ${shown.map((object, i) => html`<li key=${i}><pre>${JSON.stringify(object, null, 2)}</pre></li>`)}
    </ol>
    ${isCut && html`<p class="muted small">${t("jobs.first_lines", {count: shown.length})}</p>`}`;
}

function parse(line) {
  try {
    return JSON.parse(line);
  } catch {
    return null;
  }
}
