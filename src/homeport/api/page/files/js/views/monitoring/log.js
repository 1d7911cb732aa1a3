/**
 * The end of the server's log: by level, source and text; it follows new lines while its end is in sight.
 */
import {Button, IconButton} from "../../components/button.js";
import {SelectField} from "../../components/field.js";
import {EmptyState, Skeleton} from "../../components/states.js";
import {showToast} from "../../components/toast.js";
import {copyText} from "../../clipboard.js";
import {describeError} from "../../errors.js";
import {formatNumber} from "../../format.js";
import {html, useLayoutEffect, useRef, useState} from "../../html.js";
import {language, t} from "../../i18n.js";
import {lastingStorage} from "../../storage.js";
import {LogChunk} from "./log_chunk.js";
import {selectLines, SOURCES, textOf} from "./log_lines.js";
import {useLog} from "./use_log.js";

const NEAR_PX = 24;
const NARROW = "(max-width: 48rem)";

/** The section. */
export function Log() {
  const [isPaused, setPaused] = useState(false);
  const {chunks, isLoaded, error, retry} = useLog(isPaused);
  const [filter, setFilter] = useState({level: "info", source: SOURCES[0], text: ""});
  const [isWrapped, setWrapped] = useState(readWrapped);
  const [isFollowing, setFollowing] = useState(true);
  const selected = chunks.map(({id, lines}) => ({id, lines: selectLines(lines, filter)}));
  const shown = selected.filter(({lines}) => lines.length);
  const nLines = shown.reduce((sum, {lines}) => sum + lines.length, 0);
  const wrap = () => {
    lastingStorage.write("log-wrap", isWrapped ? "no" : "yes");
    setWrapped(!isWrapped);
  };
  const copy = async () => {
    const isCopied = await copyText(textOf(shown.flatMap(({lines}) => lines)));
    if (isCopied) showToast(t("monitoring.lines_copied", {count: formatNumber(nLines)}));
    else showToast(t("code.not_copied"), "error");
  };
  return html`
    <section class="log-section">
      <div class="log-head">
        <h2>${t("monitoring.log")}</h2>
        <span class="muted"><span role="status">${isPaused && t("monitoring.log_paused")}</span>${" "}
          ${t("monitoring.lines", {count: formatNumber(nLines)})}</span>
      </div>
      <div class="log-tools">
        <${Filters} filter=${filter} onChange=${setFilter} />
        <div class="log-buttons">
          <${Toggle} icon=${isPaused ? "play" : "pause"} isOn=${isPaused} onClick=${() => setPaused(!isPaused)}
            label=${isPaused ? t("monitoring.resume") : t("monitoring.pause")} />
          <${Toggle} icon="to_end" isOn=${isFollowing} onClick=${() => setFollowing(!isFollowing)}
            label=${t("monitoring.follow")} />
          <${Toggle} icon="wrap" isOn=${isWrapped} onClick=${wrap} label=${t("monitoring.wrap")} />
          <${IconButton} icon="copy" label=${t("monitoring.copy_lines")} disabled=${!nLines} onClick=${copy} />
        </div>
      </div>
      ${error && html`
        <div class="notice notice-error monitoring-notice" role="alert">
          <span>${describeError(error)}</span><${Button} onClick=${retry}>${t("shell.retry")}<//>
        </div>`}
      <${Lines} chunks=${shown} isLoaded=${isLoaded} isWrapped=${isWrapped} isFollowing=${isFollowing}
        onFollow=${setFollowing} />
    </section>`;
}

function Filters({filter, onChange}) {
  const levels = [
    {value: "debug", name: t("monitoring.level_debug")}, {value: "info", name: t("monitoring.level_info")},
    {value: "warning", name: t("monitoring.level_warning")}, {value: "error", name: t("monitoring.level_error")},
  ];
  const names = {
    usual: t("monitoring.source_usual"), requests: t("monitoring.source_requests"),
    workers: t("monitoring.source_workers"), server: t("monitoring.source_server"), all: t("monitoring.source_all"),
  };
  return html`
    <input class="input log-search" type="search" aria-label=${t("monitoring.search")} spellcheck=${false}
      placeholder=${t("monitoring.search")} value=${filter.text}
      onInput=${(event) => onChange({...filter, text: event.target.value})} />
    <${SelectField} label=${t("monitoring.level")} isCompact=${true} options=${levels} value=${filter.level}
      onChoose=${(level) => onChange({...filter, level})} />
    <${SelectField} label=${t("monitoring.source")} isCompact=${true} value=${filter.source}
      options=${SOURCES.map((value) => ({value, name: names[value]}))}
      onChoose=${(source) => onChange({...filter, source})} />`;
}

function Toggle({isOn, ...rest}) {
  return html`<${IconButton} aria-pressed=${isOn} ...${rest} />`;
}

function Lines({chunks, isLoaded, isWrapped, isFollowing, onFollow}) {
  const element = useRef(null);
  const before = useRef({top: 0, height: 0});
  useLayoutEffect(() => {
    if (!isFollowing) return undefined;
    const toEnd = () => element.current && (element.current.scrollTop = element.current.scrollHeight);
    toEnd();
    const frame = requestAnimationFrame(toEnd); // chunks that come into sight have their real height now
    return () => cancelAnimationFrame(frame);
  });
  const onScroll = () => {
    const {scrollTop, scrollHeight, clientHeight} = element.current;
    const isUp = scrollTop < before.current.top - 1 && scrollHeight >= before.current.height;
    before.current = {top: scrollTop, height: scrollHeight};
    if (scrollHeight - scrollTop - clientHeight < NEAR_PX) onFollow(true);
    else if (isUp) onFollow(false);
  };
  const live = chunks.length - 2;
  return html`
    <div ref=${element} class=${isWrapped ? "log log-wrapped" : "log"} role="log" aria-live="off" tabindex="0"
      aria-label=${t("monitoring.log")} onScroll=${onScroll}>
      ${chunks.map(({id, lines}, at) => html`
        <${LogChunk} key=${id} lines=${lines} isLive=${at >= live} language=${language.get()} />`)}
      ${!chunks.length && html`<${NoLines} isLoaded=${isLoaded} />`}
    </div>`;
}

function NoLines({isLoaded}) {
  if (!isLoaded) return html`<${Skeleton} lines=${6} />`;
  return html`<${EmptyState} title=${t("monitoring.no_lines")} text=${t("monitoring.no_lines_hint")} />`;
}

function readWrapped() {
  const kept = lastingStorage.read("log-wrap");
  return kept === null ? matchMedia(NARROW).matches : kept === "yes";
}
