/**
 * One key: whose it is, what it may use, and how much of its limits it has used.
 */
import {Button} from "../../components/button.js";
import {LimitBar} from "../../components/limit_bar.js";
import {Menu} from "../../components/menu.js";
import {formatBytes, formatDate, formatDay, formatNumber} from "../../format.js";
import {html} from "../../html.js";
import {t} from "../../i18n.js";

const DAY_S = 86400;

/**
 * @param {object} props
 * @param {import("./key_data.js").Key} props.item
 * @param {import("./key_data.js").KeyUsage | null} props.usage null: the server does not store usage
 * @param {(dialog: {kind: string, item: import("./key_data.js").Key}) => void} props.onAsk
 */
export function KeyRow({item, usage, onAsk}) {
  const {name, project, hint, models, status, limits} = item;
  const ask = (kind) => onAsk({kind, item});
  const items = [
    {name: t("keys.rotate"), icon: "retry", onChoose: () => ask("rotate")},
    {name: t("keys.revoke"), icon: "trash", onChoose: () => ask("revoke")},
  ];
  const modelNames = models.length ? models.join(", ") : t("keys.all_models");
  return html`
    <li class="row key-row" aria-label=${name}>
      <div class="key-text">
        <span class="key-title"><strong class="clip" title=${name}>${name}</strong>
          <${Status} status=${status} />
          <span class="tag clip" title=${t("keys.project_title", {project})}>${project}</span></span>
        <span class="muted small clip" title=${modelNames}><code>${hint}</code> · ${modelNames}</span>
        <span class="muted small">${notesOf(item, usage).join(" · ")}</span>
      </div>
      <div class="key-usage">
        ${usage && html`
          <${Used} label=${t("keys.today")} used=${usage.today} limit=${limits.tokens_per_day} />
          <${Used} label=${t("keys.month")} used=${usage.month} limit=${limits.tokens_per_month} />`}
      </div>
      <div class="row-actions">
        ${status !== "revoked" && html`
          <${Button} onClick=${() => ask("edit")} aria-label=${t("keys.edit_of", {name})}>${t("keys.edit")}<//>
          <${Menu} icon="more" label=${t("keys.more", {name})} items=${items} />`}
      </div>
    </li>`;
}

function Status({status}) {
  const names = {expired: t("keys.expired"), revoked: t("keys.revoked")};
  return names[status] ? html`<span class="tag key-${status}">${names[status]}</span>` : null;
}

/** Tokens that were used, and how much of a limit they are. */
function Used({label, used, limit}) {
  const text = limit === null
    ? t("keys.tokens", {used: formatNumber(used)})
    : t("keys.tokens_of", {used: formatNumber(used), limit: formatNumber(limit)});
  return html`<${LimitBar} label=${label} text=${text} used=${used} limit=${limit} />`;
}

/** The other limits, the latest use and the end. */
function notesOf({limits, expires_at: expires, created_at: created}, usage) {
  const number = (name) => formatNumber(limits[name]);
  return [
    ...(limits.requests_per_minute ? [t("keys.note_requests", {count: number("requests_per_minute")})] : []),
    ...(limits.tokens_per_minute ? [t("keys.note_tokens", {count: number("tokens_per_minute")})] : []),
    ...(limits.concurrent_requests ? [t("keys.note_concurrent", {count: number("concurrent_requests")})] : []),
    ...(limits.storage_bytes ? [t("keys.note_storage", {size: formatBytes(limits.storage_bytes)})] : []),
    ...(usage ? [lastUse(usage.lastDay)] : []),
    ...(expires ? [t("keys.note_expires", {time: formatDate(expires)})] : []),
    t("keys.note_created", {time: formatDay(created)}),
  ];
}

function lastUse(lastDay) {
  if (lastDay === null) return t("keys.unused");
  const isToday = Date.now() / 1000 - lastDay < DAY_S;
  return isToday ? t("keys.used_today") : t("keys.used_on", {day: formatDay(lastDay)});
}
