"""Fine-tuning jobs as the server that trains them sees them: the next job, its progress, its result. Synchronous.

A job that was cancelled or taken over meanwhile is never changed: every statement checks its status and its server. Of
a paused job the current step is still recorded, because it is not repeated.
"""

import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from homeport.domain.errors import ErrorInfo
from homeport.domain.files import File, NewFile
from homeport.domain.fine_tuning import (
    ACTIVE_STATUSES,
    ENDED,
    UNFINISHED_STATUSES,
    FineTuningJob,
)
from homeport.domain.training import MAX_CHECKPOINTS, StepMetrics, TrainingPrepared, TrainingResult
from homeport.store.database import Database
from homeport.store.files import SqlFileRepository
from homeport.store.fine_tuning import add_event, jobs_of
from homeport.store.schema import FINE_TUNE_CHECKPOINTS, FINE_TUNES

SILENT_S = 90
"""After this time without a heartbeat, another server takes over the jobs of a server."""
_RESULTS, _PURPOSE = "step_metrics.csv", "fine-tune-results"


class SqlTrainingQueue:
    """The jobs of a database. `files`: stores result files; `now`: the wall clock in seconds."""

    def __init__(self, database: Database, files: SqlFileRepository, now: Callable[[], float] = time.time) -> None:
        self._database = database
        self._files = files
        self._now = now
        self._damaged: set[int] = set()  # numbers of rows that cannot be read

    def next_job(self, server: str) -> FineTuningJob | None:
        """Return the server's next job: an interrupted one, else the oldest in the queue. Damaged rows are skipped."""
        is_waiting = FINE_TUNES.c.status == "queued"
        query = sa.select(FINE_TUNES).where(
            FINE_TUNES.c.server == server, sa.or_(is_waiting, FINE_TUNES.c.status.in_(ACTIVE_STATUSES))
        )
        query = query.order_by(is_waiting, FINE_TUNES.c.seq).limit(1)
        while True:
            with self._database.read_transaction() as connection:
                left = query.where(FINE_TUNES.c.seq.not_in(self._damaged))
                row = connection.execute(left).mappings().first()
            if row is None:
                return None
            for job in jobs_of([row]):
                return job
            self._damaged.add(row["seq"])

    def is_wanted(self, server: str, job_id: str) -> bool:
        """Return whether an active job should continue on this server."""
        query = sa.select(FINE_TUNES.c.seq).where(
            FINE_TUNES.c.id == job_id, FINE_TUNES.c.server == server, FINE_TUNES.c.status.in_(ACTIVE_STATUSES)
        )
        with self._database.read_transaction() as connection:
            return connection.execute(query).first() is not None

    def heartbeat(self, server: str) -> None:
        """Record that the server is alive, and give it the unfinished jobs of servers without a recent heartbeat."""
        now = int(self._now())
        is_open = FINE_TUNES.c.status.in_(UNFINISHED_STATUSES)
        may_take_over = sa.or_(FINE_TUNES.c.server == server, FINE_TUNES.c.seen_at < now - SILENT_S)
        with self._database.write_transaction() as connection:
            connection.execute(sa.update(FINE_TUNES).where(is_open, may_take_over).values(server=server, seen_at=now))

    def start(self, job: FineTuningJob) -> bool:
        """Record that a job's files are being read."""
        values = {"status": "validating_files"}
        message = f"Validating training file: {job.training_file}"
        if job.validation_file is not None:
            message += f" and validation file: {job.validation_file}"
        with self._database.write_transaction() as connection:
            if not self._update_job(connection, job, values, ("queued", *ACTIVE_STATUSES)):
                return False
            add_event(connection, job.id, int(self._now()), message)
        return True

    def record_prepared(self, job: FineTuningJob, event: TrainingPrepared) -> bool:
        """Record that a job's files are valid, and from which step its training continues."""
        values = {
            "status": "running",
            "steps": event.steps,
            "hyperparameters": msgspec.json.encode(event.hyperparameters).decode(),
        }
        start = f"Job resumed from step {event.step}" if event.step else "Job started"
        chosen = event.hyperparameters
        message = (
            f"{start}: {event.examples} examples, {event.tokens} tokens, {chosen.n_epochs} epochs, {event.steps} steps."
        )
        with self._database.write_transaction() as connection:
            if not self._update_job(connection, job, values):
                return False
            add_event(connection, job.id, int(self._now()), message)
        return True

    def record_step(self, job: FineTuningJob, step_metrics: StepMetrics, steps: int, finish_at: int | None) -> bool:
        """Record a step; one that is recorded already is skipped."""
        values = {"step": step_metrics.step, "estimated_finish": finish_at}
        losses = f"training loss={step_metrics.train_loss:.4f}"
        if step_metrics.valid_loss is not None:
            losses += f", validation loss={step_metrics.valid_loss:.4f}"
        data = {"total_steps": steps, **openai_metrics(step_metrics)}
        with self._database.write_transaction() as connection:
            if not self._update_job(
                connection, job, values, UNFINISHED_STATUSES, FINE_TUNES.c.step < step_metrics.step
            ):
                return False
            message = f"Step {step_metrics.step}/{steps}: {losses}"
            add_event(connection, job.id, int(self._now()), message, type="metrics", data=data)
        return True

    def record_checkpoint(self, job: FineTuningJob, step_metrics: StepMetrics, name: str) -> bool:
        """Record a checkpoint, which is a model of this name, and delete all but the latest ones."""
        table, now = FINE_TUNE_CHECKPOINTS, int(self._now())
        saved_steps = sa.select(table.c.step).where(table.c.job == job.id)
        with self._database.write_transaction() as connection:
            if not self._update_job(connection, job, {}, UNFINISHED_STATUSES):
                return False
            if connection.execute(saved_steps.where(table.c.step == step_metrics.step)).first() is None:
                values = {"job": job.id, "created_at": now, "step": step_metrics.step, "name": name}
                metrics = msgspec.json.encode(openai_metrics(step_metrics)).decode()
                checkpoint_id = f"ftckpt-{secrets.token_hex(12)}"
                connection.execute(sa.insert(table).values(id=checkpoint_id, metrics=metrics, **values))
                add_event(connection, job.id, now, f"Checkpoint created at step {step_metrics.step}: {name}")
            newest = saved_steps.order_by(table.c.step.desc()).limit(MAX_CHECKPOINTS)
            latest = connection.execute(newest).scalars().all()
            connection.execute(sa.delete(table).where(table.c.job == job.id, table.c.step < min(latest)))
        return True

    def succeed(self, job: FineTuningJob, result: TrainingResult) -> bool:
        """Record that a job has its model. The table of metrics becomes a file of its project."""
        new_file = NewFile(project=job.project, purpose=_PURPOSE, filename=_RESULTS)
        now = int(self._now())

        def finish(connection: sa.Connection, file: File) -> None:
            values = {"status": "succeeded", "finished_at": now, "result_file": file.id, "tokens": result.tokens}
            if not self._update_job(connection, job, {**values, "estimated_finish": None}):
                raise _JobLost
            for message in (
                f"New fine-tuned model created: {result.model}",
                f"Uploaded result files: {file.id}.",
                "Job succeeded.",
            ):
                add_event(connection, job.id, now, message)

        try:
            self._files.create(new_file, result.results, finish)
        except _JobLost:
            return False
        return True

    def fail(self, job: FineTuningJob, fault: ErrorInfo) -> bool:
        """Record that a job failed."""
        now = int(self._now())
        values = {"status": "failed", "finished_at": now, "estimated_finish": None}
        with self._database.write_transaction() as connection:
            error = msgspec.json.encode(fault).decode()
            if not self._update_job(connection, job, {**values, "error": error}):
                return False
            add_event(connection, job.id, now, f"Job failed: {fault.message}", level="error")
        return True

    def list_uncleaned(self, server: str) -> Sequence[FineTuningJob]:
        """Return jobs that have ended and may have files left."""
        query = sa.select(FINE_TUNES).where(
            FINE_TUNES.c.server == server, FINE_TUNES.c.status.in_(ENDED), FINE_TUNES.c.is_tidy.is_(False)
        )
        with self._database.read_transaction() as connection:
            return list(jobs_of(connection.execute(query).mappings()))

    def mark_cleaned(self, job: FineTuningJob) -> None:
        """Record that an ended job has no files left. A job without a model loses its checkpoints too."""
        table = FINE_TUNE_CHECKPOINTS
        with self._database.write_transaction() as connection:
            connection.execute(sa.update(FINE_TUNES).where(FINE_TUNES.c.id == job.id).values(is_tidy=True))
            if job.status != "succeeded":
                connection.execute(sa.delete(table).where(table.c.job == job.id))

    def counts(self) -> Mapping[str, int]:
        """Return the number of jobs by status."""
        query = sa.select(FINE_TUNES.c.status, sa.func.count()).group_by(FINE_TUNES.c.status)
        with self._database.read_transaction() as connection:
            return {str(status): int(n) for status, n in connection.execute(query)}

    def _update_job(
        self,
        connection: sa.Connection,
        job: FineTuningJob,
        values: Mapping[str, Any],
        sources: Sequence[str] = ACTIVE_STATUSES,
        is_new: sa.ColumnElement[bool] | None = None,
    ) -> bool:
        query = sa.update(FINE_TUNES).where(
            FINE_TUNES.c.id == job.id, FINE_TUNES.c.server == job.server, FINE_TUNES.c.status.in_(sources)
        )
        if is_new is not None:
            query = query.where(is_new)
        return connection.execute(query.values(**values, updated_at=int(self._now()))).rowcount > 0


class _JobLost(Exception):
    """The job was ended or taken over before its result was recorded."""


def openai_metrics(step_metrics: StepMetrics) -> dict[str, float]:
    """Return the metrics of a step under OpenAI's names, without those that were not measured."""
    named = {
        "step": step_metrics.step,
        "train_loss": step_metrics.train_loss,
        "train_mean_token_accuracy": step_metrics.train_token_accuracy,
        "valid_loss": step_metrics.valid_loss,
        "valid_mean_token_accuracy": step_metrics.valid_token_accuracy,
        "full_valid_loss": step_metrics.full_valid_loss,
        "full_valid_mean_token_accuracy": step_metrics.full_valid_token_accuracy,
        **step_metrics.classification,
    }
    return {name: value for name, value in named.items() if value is not None}
