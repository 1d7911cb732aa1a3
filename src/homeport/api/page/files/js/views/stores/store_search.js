/**
 * A search in a store, and the passages that it finds.
 */
import {Button} from "../../components/button.js";
import {EmptyState} from "../../components/states.js";
import {requestJson} from "../../client.js";
import {describeError} from "../../errors.js";
import {formatNumber} from "../../format.js";
import {html, useEffect, useRef, useState} from "../../html.js";
import {t} from "../../i18n.js";
import {Icon} from "../../icons.js";
import {bestStart, markWords} from "./marks.js";
import {pathOf} from "./store_data.js";

const LONG = 500; // characters of a passage that is shown in part
const MAX_QUERY = 8192;

/** @param {{id: string}} props */
export function StoreSearch({id}) {
  const [query, setQuery] = useState("");
  const [state, setState] = useState({found: null, error: null, isBusy: false});
  const control = useRef(null);
  useEffect(() => () => control.current?.abort(), []);
  const search = async (event) => {
    event.preventDefault();
    control.current?.abort();
    control.current = new AbortController();
    const {signal} = control.current;
    setState((before) => ({...before, error: null, isBusy: true}));
    try {
      const {data} = await requestJson(pathOf(id, "search"), {method: "POST", body: {query}, signal});
      setState({found: {query, passages: data}, error: null, isBusy: false});
    } catch (error) {
      if (!signal.aborted) setState((before) => ({...before, error, isBusy: false}));
    }
  };
  const change = ({target}) => {
    setQuery(target.value);
    if (!target.value) setState({found: null, error: null, isBusy: false});
  };
  const {found, error, isBusy} = state;
  return html`
    <section>
      <form class="store-search" role="search" onSubmit=${search}>
        <input class="input" type="search" aria-label=${t("stores.search_label")} maxlength=${MAX_QUERY}
          placeholder=${t("stores.search_example")} value=${query} autocomplete="off" onInput=${change} />
        <${Button} kind="primary" icon="search" type="submit" disabled=${!query.trim()} isBusy=${isBusy}>
          ${t("stores.search")}<//>
      </form>
      ${Boolean(error) && html`<p class="notice notice-error" role="alert">${describeError(error)}</p>`}
      ${found && html`<${Passages} found=${found} />`}
    </section>`;
}

function Passages({found: {query, passages}}) {
  if (!passages.length) {
    return html`<${EmptyState} title=${t("stores.nothing_found")} text=${t("stores.nothing_found_hint")} />`;
  }
  return html`
    <p class="muted small" role="status">${t("stores.found", {count: formatNumber(passages.length)})}</p>
    <ol class="rows" aria-label=${t("stores.passages")}>
      ${passages.map((passage, at) => html`<${Passage} key=${`${at} ${query}`} passage=${passage} query=${query} />`)}
    </ol>`;
}

function Passage({passage, query}) {
  const text = passage.content.map((part) => part.text).join("\n").replace(/\n\s*\n/g, "\n");
  const isLong = text.length > LONG;
  const [isOpen, setOpen] = useState(!isLong);
  const start = isOpen ? 0 : bestStart(markWords(text, query));
  const pieces = markWords(text.slice(start), query);
  const score = formatNumber(passage.score, 2);
  return html`
    <li class="row passage">
      <div class="passage-head small">
        <${Icon} name="file" /><strong class="clip" title=${passage.filename}>${passage.filename}</strong>
        <span class="tag" title=${t("stores.score_hint")}>${t("stores.score", {score})}</span>
      </div>
      <p class=${isOpen ? "passage-text" : "passage-text passage-cut"}>
        ${start > 0 && "… "}${pieces.map(({text: part, isMarked}, i) => (isMarked
          ? html`<mark key=${i}>${part}</mark>` : part))}</p>
      ${isLong && html`
        <button type="button" class="passage-more" aria-expanded=${isOpen} onClick=${() => setOpen(!isOpen)}>
          ${isOpen ? t("stores.less") : t("stores.whole")}</button>`}
    </li>`;
}
