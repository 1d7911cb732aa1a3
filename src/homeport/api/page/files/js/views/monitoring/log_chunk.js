/**
 * A hundred lines of the log. They are drawn again only if they change, and laid out only in sight.
 */
import {formatNumber} from "../../format.js";
import {Component, html} from "../../html.js";
import {t} from "../../i18n.js";

const LEVEL_CHARS = 7;
const FIELDS = ["request_id", "client_request_id", "method", "path", "status", "ms", "model"];
const ACCESS = new RegExp(`^${FIELDS.map((name) => `${name}=(\\S+)`).join(" ")}$`);

/** Props: `lines`; `isLive`: it is near the end, and laid out always; `language`: if it changes, it is drawn again. */
export class LogChunk extends Component {
  /** Whether it must be drawn again. */
  shouldComponentUpdate(next) {
    const {lines, isLive, language} = this.props;
    return next.lines !== lines || next.isLive !== isLive || next.language !== language;
  }

  /** Draws the lines. */
  render({lines, isLive}) {
    const setSize = (element) => {
      if (element) element.style.containIntrinsicBlockSize = `auto ${lines.length * 1.5}em`;
    };
    return html`
      <div ref=${setSize} class=${isLive ? "log-chunk" : "log-chunk log-chunk-far"}>
        ${lines.map((line, i) => (line.missed ? html`<${Missed} key=${i} count=${line.missed} />`
          : html`<${LineView} key=${i} line=${line} />`))}
      </div>`;
  }
}

function Missed({count}) {
  return html`<div class="log-line log-missed">${t("monitoring.missed", {count: formatNumber(count)})}</div>`;
}

function LineView({line: {time, level, logger, message, trace}}) {
  const date = new Date(time * 1000);
  const access = ACCESS.exec(message);
  const head = `${clockOf(date)} ${level.toUpperCase().padEnd(LEVEL_CHARS)} ${logger.replace(/^homeport\./, "")}`;
  // Few elements: there may be thousands of lines.
  return html`
    <div class="log-line log-${level}">
      <span class="log-meta" title=${date.toISOString()}>${head}</span>${" "}${access ? accessOf(access) : message}
      ${trace && html`<span class="log-trace">${`\n${trace}`}</span>`}
    </div>`;
}

/** A request: what matters first, ids at the end. */
function accessOf([, id, clientId, method, path, status, ms, model]) {
  const rest = [`${ms} ms`, model, id, clientId].filter((part) => part !== "-").join(" ");
  return [`${method} ${path} `, html`<b class="log-status-${status[0]}">${status}</b>`, ` ${rest}`];
}

/** The time of day on this machine, as the server's own log has it. */
function clockOf(date) {
  const two = (number) => String(number).padStart(2, "0");
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}
