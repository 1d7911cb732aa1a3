"""One attempt at a fine-tuning job: fetches its files, trains, records the events. Runs in a thread.

However it ends, the job's row is authoritative: a job that was stopped stays as it is, and a later attempt resumes it.
Knows nothing of which job is next.
"""

import logging
import shutil
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from homeport.domain.errors import (
    EngineFailed,
    HomeportError,
    InvalidRequest,
    NotFound,
)
from homeport.domain.fine_tuning import FineTuningJob
from homeport.domain.ports.store import FileRepository, FineTuningRepository
from homeport.domain.ports.tuning import TrainingQueue, TrainingRun, TrainingService
from homeport.domain.training import (
    CheckpointSaved,
    StepMetrics,
    TrainingEvent,
    TrainingPrepared,
    TrainingResult,
    TrainingTask,
)
from homeport.formats import atomic

_TRAINING_FILE, _VALIDATION_FILE = "training.jsonl", "validation.jsonl"

_log = logging.getLogger("homeport.training")


@dataclass(frozen=True)
class FineTuningDeps:
    """The parts that fine-tuning uses.

    `folder`: where the jobs' files are while they are needed; `remove_model` deletes a fine-tuned model by name.
    """

    training: TrainingService
    jobs: FineTuningRepository
    queue: TrainingQueue
    files: FileRepository
    remove_model: Callable[[str], None]
    folder: Path


class JobStoreUnavailable(Exception):
    """An event could not be recorded: the database is not available. The job resumes later."""


class TrainingAttempt:
    """One attempt at one job. `stop` may be called from any thread; `on_change` is called after each changed row.

    `has_begun`: the job's row records that it runs; if it no longer does, the attempt must stop.
    """

    def __init__(self, job: FineTuningJob, deps: FineTuningDeps, on_change: Callable[[], None]) -> None:
        self.job = job
        self._deps = deps
        self._on_change = on_change
        self._lock = threading.Lock()
        self._run: TrainingRun | None = None
        self._is_stopped = False
        self._steps = 0
        self.has_begun = False
        self._started: tuple[float, int] | None = None

    def stop(self) -> None:
        """End the attempt after the current step; its progress is saved."""
        with self._lock:
            self._is_stopped = True
            if self._run is not None:
                self._run.stop()

    def run(self) -> None:
        """Train the job to its end, or until it is stopped. Raises JobStoreUnavailable."""
        job = self.job
        if not self._record(lambda queue: queue.start(job)):
            return
        self.has_begun = True
        try:
            result = self._train()
        except JobStoreUnavailable:
            raise
        except HomeportError as error:
            self._fail(error)
        except Exception:
            _log.exception("fine-tuning job %s broke", job.id)
            self._fail(EngineFailed("The server had an error while it trained. See the server's log.", code="broke"))
        else:
            if result is not None:
                self._record(lambda queue: queue.succeed(job, result))

    def _train(self) -> TrainingResult | None:
        fetch_files(self.job, self._deps)
        run = self._deps.training.prepare_run(training_task(self.job, self._deps))
        with self._lock:
            self._run = run
            if self._is_stopped:
                return None
        return run.run(self._on_event)

    def _fail(self, error: HomeportError) -> None:
        _log.warning("fine-tuning job %s failed: %s", self.job.id, error)
        self._record(lambda queue: queue.fail(self.job, error.info))

    def _on_event(self, event: TrainingEvent) -> None:
        """Record a training event; stop a job that is no longer wanted."""
        job = self.job
        if isinstance(event, TrainingPrepared):
            self._steps = event.steps
            self._started = (time.monotonic(), event.step)
            if not self._record(lambda queue: queue.record_prepared(job, event)):
                self.stop()
        elif isinstance(event, StepMetrics):
            self._record(lambda queue: queue.record_step(job, event, self._steps, self._finish_at(event.step)))
        elif isinstance(event, CheckpointSaved) and event.model is not None:
            name = event.model
            self._record(lambda queue: queue.record_checkpoint(job, event.metrics, name))

    def _finish_at(self, step: int) -> int | None:
        if self._started is None or step <= self._started[1]:
            return None
        started_at, first_step = self._started
        per_step_s = (time.monotonic() - started_at) / (step - first_step)
        return int(time.time() + per_step_s * (self._steps - step))

    def _record(self, write: Callable[[TrainingQueue], bool]) -> bool:
        try:
            is_current = write(self._deps.queue)
        except HomeportError as error:
            raise JobStoreUnavailable(str(error)) from error
        self._on_change()
        return is_current


def training_task(job: FineTuningJob, deps: FineTuningDeps) -> TrainingTask:
    """Return the task of a job. It is the same on every call, so that training resumes."""
    folder = deps.folder / job.id
    return TrainingTask(
        job.id,
        job.name,
        job.model,
        job.digest,
        folder / _TRAINING_FILE,
        None if job.validation_file is None else folder / _VALIDATION_FILE,
        job.hyperparameters,
        job.project,
        keeps_checkpoints=True,
    )


def fetch_files(job: FineTuningJob, deps: FineTuningDeps) -> None:
    """Copy a job's files to where training reads them; they stay until it ends. Raises InvalidRequest."""
    task = training_task(job, deps)
    files = (
        ("training_file", job.training_file, task.training_file),
        ("validation_file", job.validation_file, task.validation_file),
    )
    for param, file_id, target in files:
        if file_id is None or target is None or target.exists():
            continue
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            with atomic.replace_file(target) as partial:  # a file that exists is complete, even after a power cut
                deps.files.copy(deps.files.get(job.project, file_id), partial)
        except NotFound as error:
            raise InvalidRequest(f"The file {file_id} no longer exists.", param=param, code="file_not_found") from error


def clean_up(job: FineTuningJob, deps: FineTuningDeps) -> None:
    """Delete what an ended job has left: its files, and everything that it wrote, unless it succeeded."""
    if job.status != "succeeded":
        # If the base model was removed, nothing is left to discard.
        with suppress(NotFound, InvalidRequest):
            deps.training.prepare_run(training_task(job, deps)).discard()
        with suppress(NotFound):
            deps.remove_model(job.name)
    shutil.rmtree(deps.folder / job.id, ignore_errors=True)
    deps.queue.mark_cleaned(job)
