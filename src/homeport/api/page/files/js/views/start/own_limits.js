/**
 * The limits of the key that the page is signed in with, and what is left of them.
 */
import {requestJson} from "../../client.js";
import {LimitBar} from "../../components/limit_bar.js";
import {formatDate, formatNumber} from "../../format.js";
import {html} from "../../html.js";
import {t} from "../../i18n.js";
import {usePolling} from "../../polling.js";
import {useResource} from "../../resource.js";

const REFRESH_MS = 10000;

/** The limits. Nothing is shown of a key that has none. */
export function OwnLimits() {
  const {value, reload} = useResource((signal) => requestJson("/admin/v1/self", {signal}));
  usePolling(reload, REFRESH_MS);
  if (!value?.key) return null;
  const rows = limitsOf(value);
  const {name, expires_at: expires} = value.key;
  const notes = [
    ...(value.models ? [t("start.your_models", {models: value.models.join(", ")})] : []),
    ...(expires ? [t("start.expires", {time: formatDate(expires)})] : []),
  ];
  if (!rows.length && !notes.length) return null;
  return html`
    <section><h2>${t("start.your_key", {name})}</h2>
      <div class="own-limits">
        ${rows.map(({label, used, limit}) => html`
          <${LimitBar} key=${label} label=${label} used=${used} limit=${limit} text=${leftOf(used, limit)} />`)}
        ${notes.length > 0 && html`<p class="muted small">${notes.join(" · ")}</p>`}
      </div>
    </section>`;
}

function leftOf(used, limit) {
  return t("start.left_of", {left: formatNumber(Math.max(0, limit - used)), limit: formatNumber(limit)});
}

/** The limits of this key, each with what is used of it. */
function limitsOf({key, rates}) {
  const {limits, tokens_used: used} = key;
  const ofRate = (rate) => (rate ? {used: rate.limit - rate.remaining, limit: rate.limit} : null);
  const ofPeriod = (limit, tokens) => (limit === null ? null : {used: tokens, limit});
  const rows = [
    {label: t("start.tokens_today"), ...ofPeriod(limits.tokens_per_day, used.day)},
    {label: t("start.tokens_month"), ...ofPeriod(limits.tokens_per_month, used.month)},
    {label: t("start.requests_minute"), ...ofRate(rates.requests)},
    {label: t("start.tokens_minute"), ...ofRate(rates.tokens)},
  ];
  return rows.filter((row) => row.limit !== undefined);
}
