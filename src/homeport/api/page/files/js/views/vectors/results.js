/**
 * The pictures that a search finds, the nearest first. Only the first ones are shown until more are asked for.
 */
import {Button, IconButton} from "../../components/button.js";
import {DialogFrame} from "../../components/dialog.js";
import {formatBytes, formatNumber} from "../../format.js";
import {html, useEffect, useMemo, useState} from "../../html.js";
import {t} from "../../i18n.js";
import {useSignal} from "../../signal.js";
import {formatScore} from "./scores.js";

const PAGE = 60;

/**
 * @param {object} props
 * @param {import("./picture_index.js").PictureIndex} props.index
 * @param {import("./search.js").Query | null} props.query without one, all pictures are shown
 * @param {(entry: import("./picture_index.js").Entry) => void} props.onSimilar
 */
export function Results({index, query, onSimilar}) {
  const {done} = useSignal(index.state);
  const [more, setMore] = useState({query, count: 0});
  const [opened, setOpened] = useState(null);
  const found = useMemo(() => index.find(query?.vector ?? null), [query, done]);
  const shown = PAGE + (more.query === query ? more.count : 0); // a new search begins with few again
  if (!found.length) return null;
  return html`
    <section class="results" aria-label=${t("vectors.results")}>
      <ol class="results-grid">
        ${found.slice(0, shown).map(({entry, score}) => html`
          <${Result} key=${entry.id} entry=${entry} score=${score} onOpen=${() => setOpened(entry)}
            onSimilar=${() => onSimilar(entry)} />`)}
      </ol>
      ${found.length > shown && html`
        <${Button} onClick=${() => setMore({query, count: shown})}>
          ${t("vectors.more", {count: formatNumber(found.length - shown)})}
        <//>`}
      ${opened && html`<${Original} entry=${opened} onClose=${() => setOpened(null)} />`}
    </section>`;
}

function Result({entry, score, onOpen, onSimilar}) {
  const {name, url} = entry;
  return html`
    <li class="result">
      <button type="button" class="result-picture" aria-label=${t("vectors.open", {name})} onClick=${onOpen}>
        <img src=${url} alt="" loading="lazy" decoding="async" />
      </button>
      <div class="result-foot">
        <span class="result-text">
          <span class="clipped" title=${name}>${name.split("/").at(-1)}</span>
          ${score !== null && html`<span class="muted result-score">${formatScore(score)}</span>`}
        </span>
        <${IconButton} icon="search" label=${t("vectors.find_similar", {name})} onClick=${onSimilar} />
      </div>
    </li>`;
}

/** The picture itself, from the disk. */
function Original({entry, onClose}) {
  const {name, file} = entry;
  const url = useMemo(() => URL.createObjectURL(file), [file]);
  useEffect(() => () => URL.revokeObjectURL(url), [url]);
  return html`
    <${DialogFrame} label=${name} className="dialog original" onClose=${onClose}>
      <img src=${url} alt=${name} />
      <div class="original-foot">
        <span><span class="original-name">${name}</span> <span class="muted">${formatBytes(file.size)}</span></span>
        <${IconButton} icon="close" label=${t("shell.close")} onClick=${onClose} />
      </div>
    <//>`;
}
