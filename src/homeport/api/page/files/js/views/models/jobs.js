/**
 * The jobs that are not finished, failed, or have a result to read: their progress, and what can be done with them.
 */
import {Button, IconButton} from "../../components/button.js";
import {ConfirmDialog} from "../../components/dialog.js";
import {prose} from "../../components/prose.js";
import {Progress} from "../../components/states.js";
import {showToast} from "../../components/toast.js";
import {describeError} from "../../errors.js";
import {formatBytes, formatNumber, formatSeconds} from "../../format.js";
import {html, useState} from "../../html.js";
import {t} from "../../i18n.js";
import {changeJob, forgetJob} from "./library.js";

const ENDED = ["completed", "failed", "cancelled"];

/** @param {{jobs: import("./library.js").Job[], onChange: () => void}} props */
export function Jobs({jobs, onChange}) {
  const [cancelled, setCancelled] = useState(null);
  const shown = jobs.filter(isShown);
  const act = async (action) => {
    try {
      await action();
    } catch (error) {
      showToast(describeError(error), "error");
    }
    onChange();
  };
  const cancel = () => act(() => changeJob(cancelled, "cancel"));
  if (!shown.length) return null;
  return html`
    <section aria-label=${t("models.jobs")}>
      <ul class="rows">
        ${shown.map((job) => html`
          <${JobRow} key=${job.id} job=${job} onAct=${act} onCancel=${() => setCancelled(job)} />`)}
      </ul>
      ${cancelled && html`
        <${ConfirmDialog} title=${t("models.cancel_title", {model: nameOf(cancelled)})} text=${cancelText(cancelled)}
          confirm=${t("models.cancel_confirm")} cancel=${t("models.cancel_keep")} onConfirm=${cancel}
          onClose=${() => setCancelled(null)} />`}
    </section>`;
}

/** A finished pull is among the models; a finished optimization has numbers to read. */
function isShown({object, status}) {
  return status !== "cancelled" && (status !== "completed" || object === "model.optimization");
}

function nameOf(job) {
  return job.model ?? job.reference ?? "";
}

function cancelText(job) {
  return job.object === "model.pull" ? t("models.cancel_pull_text") : t("models.cancel_optimization_text");
}

function JobRow({job, onAct, onCancel}) {
  const isPull = job.object === "model.pull";
  const name = nameOf(job);
  const isActive = ["queued", "running"].includes(job.status);
  const known = job.total_bytes > 0 ? job.done_bytes / job.total_bytes : undefined;
  const label = isPull ? t("models.pull_of", {model: name}) : t("models.optimization_of", {model: name});
  return html`
    <li class="row job" aria-label=${label} data-status=${job.status}>
      <div class="job-text">
        <strong class="clip" title=${name}>${label}</strong>
        <span class=${job.status === "failed" ? "job-note job-error" : "job-note"}>${prose(noteOf(job))}</span>
      </div>
      <div class="row-actions"><${JobActions} job=${job} onAct=${onAct} onCancel=${onCancel} /></div>
      ${!ENDED.includes(job.status) && html`
        <div class="job-bar">
          <${Progress} label=${label} value=${known ?? (isActive ? undefined : 0)} />
        </div>`}
    </li>`;
}

function JobActions({job, onAct, onCancel}) {
  const change = (action) => () => onAct(() => changeJob(job, action));
  if (job.status === "completed") {
    return html`
      <${IconButton} icon="close" label=${t("models.dismiss")} onClick=${() => onAct(() => forgetJob(job))} />`;
  }
  const canPause = job.object === "model.pull" && ["queued", "running"].includes(job.status);
  const canResume = ["paused", "interrupted", "failed"].includes(job.status);
  const resume = job.status === "failed" ? t("shell.retry") : t("models.resume");
  // One button for both, so that it keeps the focus.
  return html`
    ${(canPause || canResume) && html`
      <${Button} icon=${canPause ? "pause" : "play"} onClick=${change(canPause ? "pause" : "resume")}>
        ${canPause ? t("models.pause") : resume}
      <//>`}
    ${job.status === "failed"
      ? html`<${IconButton} icon="close" label=${t("models.dismiss")} onClick=${() => onAct(() => forgetJob(job))} />`
      : html`<${IconButton} icon="close" label=${t("models.cancel")} onClick=${onCancel} />`}`;
}

/** What there is to say about a job's progress or end. */
function noteOf(job) {
  if (job.status === "failed") return job.error?.message || t("models.status_failed");
  if (job.status === "queued") return t("models.status_queued");
  if (job.status === "completed") return resultOf(job);
  const bytes = job.total_bytes > 0 ? [t("models.bytes_of", {
    done: formatBytes(job.done_bytes), total: formatBytes(job.total_bytes),
  })] : [];
  if (job.status === "paused") return [t("models.status_paused"), ...bytes].join(" · ");
  if (job.status === "interrupted") return [t("models.status_interrupted"), ...bytes].join(" · ");
  const isMoving = job.bytes_per_second > 0;
  const rate = isMoving ? [t("models.bytes_rate", {rate: formatBytes(job.bytes_per_second)})] : [];
  const left = isMoving && job.seconds_left !== null
    ? [t("models.time_left", {time: formatSeconds(job.seconds_left)})] : [];
  const parts = [...bytes, ...rate, ...left];
  return parts.length ? parts.join(" · ") : job.message || t("models.status_running");
}

function resultOf({result, dry_run: isDry}) {
  if (!result) return t("models.status_completed");
  const best = result.layouts.find((each) => each.layout === result.layout);
  const gain = best ? t("models.result_gain", {gain: formatNumber(best.gain, 2)}) : null;
  const layout = result.layout;
  const text = result.changed && !isDry ? t("models.result_changed", {layout}) : t("models.result_kept", {layout});
  return [text, ...(gain ? [gain] : [])].join(" · ");
}
