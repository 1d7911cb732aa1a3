/**
 * A model's replicas in a cluster: where each runs, its state, and what it does.
 */
import {formatBytes, formatNumber} from "../../format.js";
import {html} from "../../html.js";
import {t} from "../../i18n.js";
import {stateName} from "./facts.js";

/**
 * A line for each replica; nothing if there is at most one.
 *
 * @param {{model: import("./library.js").LibraryModel}} props
 */
export function Replicas({model}) {
  if (model.replicas.length < 2) return null;
  const label = t("models.replicas_of", {model: model.id});
  return html`
    <ul class="replicas small" aria-label=${label}>${model.replicas.map((each) => html`
      <${Replica} key=${each.replica} replica=${each} />`)}</ul>`;
}

function Replica({replica}) {
  const {running, waiting, memory_bytes: memory, device_bytes: onDevice} = replica;
  const notes = [
    t("models.replica_place", {node: replica.node, replica: replica.replica}),
    t("models.replica_requests", {running: formatNumber(running), waiting: formatNumber(waiting)}),
    ...(memory + onDevice ? [formatBytes(memory + onDevice)] : []),
    ...(replica.restarts ? [t("models.replica_restarts", {count: formatNumber(replica.restarts)})] : []),
    ...(replica.reason && replica.state !== "ready" ? [replica.reason] : []),
  ];
  return html`
    <li><span class="dot dot-${replica.state}" aria-hidden="true"></span>${stateName(replica.state)}${" "}
      <span class="muted">${notes.join(" · ")}</span></li>`;
}
