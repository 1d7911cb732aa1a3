/**
 * The workers: the loaded models, each a process of its own, with its state, and a button that unloads it.
 */
import {Button} from "../../components/button.js";
import {ConfirmDialog} from "../../components/dialog.js";
import {EmptyState, ErrorState, Skeleton} from "../../components/states.js";
import {Table} from "../../components/table.js";
import {showToast} from "../../components/toast.js";
import {requestJson} from "../../client.js";
import {describeError} from "../../errors.js";
import {formatBytes, formatNumber, formatSeconds} from "../../format.js";
import {html, useEffect, useState} from "../../html.js";
import {t} from "../../i18n.js";
import {useResource} from "../../resource.js";

const PATH = "/admin/v1/workers";
const MINUTE_S = 60;
const HOUR_S = 3600;
/** The numbers that samples show are fresh; what only the list has (restarts, idle times) may be older. */
const AGE_MS = 15_000;

const listWorkers = async (signal) => (await requestJson(PATH, {signal})).data;

/** @param {{loaded: string | null}} props `loaded`: changes whenever a worker comes or goes */
export function Workers({loaded}) {
  const {value: workers, error, reload} = useResource(listWorkers, [loaded]);
  const [asked, setAsked] = useState(null);
  const [stopping, setStopping] = useState(/** @type {string[]} */ ([]));
  useEffect(() => {
    const timer = setInterval(() => document.hidden || reload(), AGE_MS);
    return () => clearInterval(timer);
  }, []);
  const stop = async (model) => {
    setStopping((before) => [...before, model]);
    try {
      await requestJson(`${PATH}/${encodeURIComponent(model)}/stop`, {method: "POST"});
      showToast(t("monitoring.stopped", {model}));
    } catch (problem) {
      showToast(describeError(problem), "error");
    }
    setStopping((before) => before.filter((each) => each !== model));
    reload();
  };
  return html`
    <section>
      <h2>${t("monitoring.workers")}</h2>
      <${Content} workers=${workers} error=${error} reload=${reload} stopping=${stopping} onStop=${setAsked} />
      ${asked && html`
        <${ConfirmDialog} title=${t("monitoring.stop_title", {model: asked.model})}
          text=${asked.running + asked.waiting ? t("monitoring.stop_busy") : t("monitoring.stop_text")}
          confirm=${t("monitoring.stop")} cancel=${t("shell.cancel")} onConfirm=${() => stop(asked.model)}
          onClose=${() => setAsked(null)} />`}
    </section>`;
}

function Content({workers, error, reload, stopping, onStop}) {
  if (error && !workers) {
    return html`<${ErrorState} title=${t("monitoring.workers_failed")} text=${describeError(error)}
      action=${t("shell.retry")} onAction=${reload} />`;
  }
  if (!workers) return html`<${Skeleton} />`;
  if (!workers.length) {
    return html`<${EmptyState} title=${t("monitoring.no_worker")} text=${t("monitoring.no_worker_hint")} />`;
  }
  const columns = [
    {name: "model", title: t("monitoring.model"), cell: (worker) => html`<${Name} worker=${worker} />`},
    {name: "state", title: t("monitoring.state"), cell: (worker) => html`<${State} worker=${worker} />`},
    {name: "running", title: t("monitoring.running"), isNumber: true},
    {name: "waiting", title: t("monitoring.waiting"), isNumber: true},
    {name: "memory", title: t("monitoring.memory"), isNumber: true,
      cell: (worker) => formatBytes(worker.memory_bytes + worker.device_bytes)},
    {name: "restarts", title: t("monitoring.restarts"), isNumber: true,
      cell: (worker) => formatNumber(worker.restarts)},
    {name: "idle", title: t("monitoring.idle"), isNumber: true,
      cell: (worker) => (worker.running ? "–" : formatIdle(worker.idle_s))},
    {name: "stop", title: html`<span class="only-read">${t("monitoring.stop")}</span>`, isNumber: true,
      cell: (worker) => html`
        <${Button} icon="stop" isBusy=${stopping.includes(worker.model) || worker.state === "stopping"}
          aria-label=${t("monitoring.stop_model", {model: worker.model})} onClick=${() => onStop(worker)}>
          ${t("monitoring.stop")}
        <//>`},
  ];
  const rowKey = (worker) => worker.model;
  return html`<${Table} label=${t("monitoring.workers")} columns=${columns} rows=${workers} rowKey=${rowKey} />`;
}

/** The name, and below it what computes in which process, and why it ended last. */
function Name({worker: {model, device, pid, reason, state}}) {
  const notes = [device, pid && t("monitoring.pid", {pid})].filter(Boolean).join(" · ");
  return html`
    <div class="worker-name">
      <span class="name" title=${model}>${model}</span>
      ${notes && html`<small class="muted">${notes}</small>`}
      ${reason && html`
        <small class=${state === "ready" ? "worker-reason muted" : "worker-reason worker-failed"} title=${reason}>
          ${t("monitoring.ended", {reason})}
        </small>`}
    </div>`;
}

function formatIdle(seconds) {
  if (seconds < MINUTE_S) return formatSeconds(Math.floor(seconds));
  if (seconds < HOUR_S) return t("monitoring.minutes", {minutes: Math.floor(seconds / MINUTE_S)});
  return t("monitoring.hours", {hours: formatNumber(seconds / HOUR_S, 1)});
}

function State({worker}) {
  const names = {
    queued: t("monitoring.queued"), loading: t("monitoring.loading"), ready: t("monitoring.ready"),
    paused: t("monitoring.paused_state"), stopping: t("monitoring.stopping"), stopped: t("monitoring.stopped_state"),
  };
  return html`<span class="tag worker-${worker.state}">${names[worker.state] ?? worker.state}</span>`;
}
