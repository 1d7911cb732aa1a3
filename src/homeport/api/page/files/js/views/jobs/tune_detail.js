/**
 * One fine-tune: its losses as they come, its events, and the model that it makes.
 */
import {Button} from "../../components/button.js";
import {ConfirmDialog} from "../../components/dialog.js";
import {Plot} from "../../components/plot.js";
import {showToast} from "../../components/toast.js";
import {requestJson} from "../../client.js";
import {describeError} from "../../errors.js";
import {formatClockTime, formatDate, formatNumber} from "../../format.js";
import {html, useMemo, useState} from "../../html.js";
import {language, t} from "../../i18n.js";
import {addressOf} from "../../router.js";
import {useSignal} from "../../signal.js";
import {lastingStorage} from "../../storage.js";
import {Checkpoints} from "./checkpoints.js";
import {Detail, Facts, useDetail} from "./detail.js";
import {downloadFile} from "./file_actions.js";
import {lossesOf, useJobEvents} from "./job_events.js";
import {hasEnded, Status} from "./status.js";

const SHOWN_EVENTS = 50;

/** @param {{scope: import("./lists.js").Scope, id: string}} props */
export function TuneDetail({scope, id}) {
  const found = useDetail(scope, "/fine_tuning/jobs", id);
  return html`
    <${Detail} back="fine-tunes" found=${found}>
      ${found.value && html`<${Tune} job=${found.value} isOwned=${found.isOwned} reload=${found.reload} />`}
    <//>`;
}

function Tune({job, isOwned, reload}) {
  const path = `${isOwned ? "/v1" : "/admin/v1"}/fine_tuning/jobs/${encodeURIComponent(job.id)}`;
  const events = useJobEvents(`${path}/events`, !hasEnded(job.status));
  const messages = events.filter(({type}) => type !== "metrics");
  return html`
    <header class="detail-head"><h2>${job.model}</h2><${Status} status=${job.status} /></header>
    ${job.error?.message && html`<p class="notice notice-error" role="alert">${job.error.message}</p>`}
    ${job.fine_tuned_model && html`<${Result} name=${job.fine_tuned_model} isOwned=${isOwned} />`}
    <div class="box"><${Losses} events=${events} /></div>
    <div class="box">
      <${TuneFacts} job=${job} />
      ${isOwned && html`<${Actions} job=${job} reload=${reload} />`}
    </div>
    <${Checkpoints} path=${`${path}/checkpoints`} change=${`${job.status} ${messages.length}`} />
    <${Events} messages=${messages} />`;
}

function Losses({events}) {
  const shown = useSignal(language);
  const {steps, series} = useMemo(() => {
    const losses = lossesOf(events);
    const names = {train_loss: t("jobs.train_loss"), valid_loss: t("jobs.valid_loss")};
    const used = Object.keys(names).filter((name) => name === "train_loss" || losses.hasAny(name));
    return {steps: losses.steps, series: used.map((name) => ({name: names[name], values: losses.column(name)}))};
  }, [events, shown]);
  return html`<${Plot} label=${t("jobs.loss")} series=${series} times=${steps} isTime=${false} height=${220} />`;
}

function Result({name, isOwned}) {
  const choose = () => lastingStorage.write("chat-model", name);
  return html`
    <div class="box result">
      <div>
        <p class="muted small">${t("jobs.result")}</p>
        <p class="clipped" title=${name}><strong>${name}</strong></p>
      </div>
      ${isOwned && html`<a class="button button-primary" href=${addressOf("chat")} onClick=${choose}>
        ${t("jobs.chat_with_it")}</a>`}
    </div>`;
}

function TuneFacts({job}) {
  const {n_epochs: epochs, batch_size: batch, learning_rate_multiplier: rate} = job.hyperparameters;
  const isDone = hasEnded(job.status);
  return html`<${Facts} facts=${[
    [t("jobs.tune"), html`<code>${job.id}</code>`],
    [t("jobs.training_file"), html`<code>${job.training_file}</code>`],
    [t("jobs.validation_file"), job.validation_file && html`<code>${job.validation_file}</code>`],
    [t("jobs.method"), job.method.type === "dpo" ? t("jobs.dpo") : t("jobs.supervised")],
    [t("jobs.epochs"), String(epochs)], [t("jobs.batch_size"), String(batch)], [t("jobs.rate"), String(rate)],
    [t("jobs.seed"), String(job.seed)],
    [t("jobs.trained_tokens"), job.trained_tokens && formatNumber(job.trained_tokens)],
    [t("jobs.created"), formatDate(job.created_at)],
    [t("jobs.estimated"), !isDone && job.estimated_finish && formatDate(job.estimated_finish)],
    [t("jobs.ended"), job.finished_at && formatDate(job.finished_at)],
  ].filter(([, value]) => value)} />`;
}

function Actions({job, reload}) {
  const [isAsking, setAsking] = useState(false);
  const act = async (action) => {
    try {
      await requestJson(`/v1/fine_tuning/jobs/${encodeURIComponent(job.id)}/${action}`, {method: "POST"});
    } catch (error) {
      showToast(describeError(error), "error");
    }
    reload();
  };
  const isOpen = !hasEnded(job.status);
  if (!isOpen && !job.result_files.length) return null;
  return html`
    <div class="button-row">
      ${job.result_files.map((id) => html`
        <${Button} key=${id} icon="download" onClick=${() => downloadFile(id)}>${t("jobs.metrics_file")}<//>`)}
      ${isOpen && (job.status === "paused"
        ? html`<${Button} icon="play" onClick=${() => act("resume")}>${t("jobs.resume")}<//>`
        : html`<${Button} icon="pause" onClick=${() => act("pause")}>${t("jobs.pause")}<//>`)}
      ${isOpen && html`<${Button} kind="danger" onClick=${() => setAsking(true)}>${t("jobs.cancel")}<//>`}
      ${isAsking && html`
        <${ConfirmDialog} title=${t("jobs.cancel_tune")} text=${t("jobs.cancel_tune_text")} confirm=${t("jobs.cancel")}
          cancel=${t("jobs.keep")} onConfirm=${() => act("cancel")} onClose=${() => setAsking(false)} />`}
    </div>`;
}

/** What happened, the newest first; losses are in the plot. */
function Events({messages}) {
  const shown = messages.slice(-SHOWN_EVENTS).reverse();
  return html`
    <section aria-label=${t("jobs.events")}>
      <h3>${t("jobs.events")}</h3>
      ${!shown.length && html`<p class="muted">${t("jobs.no_events")}</p>`}
      <ol class="events" tabindex="0" aria-label=${t("jobs.events")}>
        ${shown.map(({id, created_at: at, level, message}) => html`
          <li key=${id} class=${level === "error" ? "bad" : ""}>
            <time class="muted">${formatClockTime(at)}</time><span>${message}</span>
          </li>`)}
      </ol>
    </section>`;
}
