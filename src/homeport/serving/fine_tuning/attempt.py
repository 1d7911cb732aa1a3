"""One attempt at a fine-tuning job: its files fetched, the training run, everything it tells written down. In a thread.

Whatever ends it, the job's row says what is true: a job that was stopped is left as it is and goes on in a later
attempt. Knows nothing of which job comes next.
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
from homeport.formats import durable_files

_TRAINING, _VALIDATION = "training.jsonl", "validation.jsonl"

_log = logging.getLogger("homeport.training")


@dataclass(frozen=True)
class FineTuningDeps:
    """What fine-tuning works with here.

    `folder`: where the jobs' files are while they are needed; `forget` deletes a fine-tuned model by its name.
    """

    training: TrainingService
    jobs: FineTuningRepository
    queue: TrainingQueue
    files: FileRepository
    remove_model: Callable[[str], None]
    folder: Path


class JobStoreUnavailable(Exception):
    """What happened could not be written down: the books cannot be reached now. The job goes on later."""


class TrainingAttempt:
    """One attempt at one job. `stop` may be called from any thread; `ring` is called whenever a row has changed.

    `has_begun`: from then on the job's row says that it is under way, or the attempt is not wanted any more.
    """

    def __init__(self, job: FineTuningJob, bench: FineTuningDeps, ring: Callable[[], None]) -> None:
        self.job = job
        self._bench = bench
        self._ring = ring
        self._guard = threading.Lock()
        self._training: TrainingRun | None = None
        self._is_stopped = False
        self._steps = 0
        self.has_begun = False
        self._began: tuple[float, int] | None = None

    def stop(self) -> None:
        """Have it end after the step under way; what was done is kept."""
        with self._guard:
            self._is_stopped = True
            if self._training is not None:
                self._training.stop()

    def run(self) -> None:
        """Train the job to its end, or until it is stopped. Raises JobStoreUnavailable."""
        job = self.job
        if not self._record(lambda log: log.start(job)):
            return
        self.has_begun = True
        try:
            made = self._train()
        except JobStoreUnavailable:
            raise
        except HomeportError as error:
            self._fail(error)
        except Exception:
            _log.exception("fine-tuning job %s broke", job.id)
            self._fail(EngineFailed("The server had an error while it trained. Its log says more.", code="broke"))
        else:
            if made is not None:
                self._record(lambda log: log.succeed(job, made))

    def _train(self) -> TrainingResult | None:
        fetch_files(self.job, self._bench)
        training = self._bench.training.prepare_run(training_task(self.job, self._bench))
        with self._guard:
            self._training = training
            if self._is_stopped:
                return None
        return training.run(self._on_event)

    def _fail(self, error: HomeportError) -> None:
        _log.warning("fine-tuning job %s failed: %s", self.job.id, error)
        self._record(lambda log: log.fail(self.job, error.info))

    def _on_event(self, told: TrainingEvent) -> None:
        """Write down what the training tells; a job that nobody wants any more is stopped."""
        job = self.job
        if isinstance(told, TrainingPrepared):
            self._steps = told.steps
            self._began = (time.monotonic(), told.step)
            if not self._record(lambda log: log.record_prepared(job, told)):
                self.stop()
        elif isinstance(told, StepMetrics):
            self._record(lambda log: log.record_step(job, told, self._steps, self._finish_at(told.step)))
        elif isinstance(told, CheckpointSaved) and told.model is not None:
            name = told.model
            self._record(lambda log: log.record_checkpoint(job, told.metrics, name))

    def _finish_at(self, step: int) -> int | None:
        if self._began is None or step <= self._began[1]:
            return None
        since, first = self._began
        per_step_s = (time.monotonic() - since) / (step - first)
        return int(time.time() + per_step_s * (self._steps - step))

    def _record(self, write: Callable[[TrainingQueue], bool]) -> bool:
        try:
            done = write(self._bench.queue)
        except HomeportError as error:
            raise JobStoreUnavailable(str(error)) from error
        self._ring()
        return done


def training_task(job: FineTuningJob, bench: FineTuningDeps) -> TrainingTask:
    """A job as the training is told of it: the same whenever it is asked, so that it goes on where it was."""
    folder = bench.folder / job.id
    return TrainingTask(
        job.id,
        job.name,
        job.model,
        job.digest,
        folder / _TRAINING,
        None if job.validation_file is None else folder / _VALIDATION,
        job.hyperparameters,
        job.project,
        keeps_checkpoints=True,
    )


def fetch_files(job: FineTuningJob, bench: FineTuningDeps) -> None:
    """Bring a job's files to where its training reads them; they stay until it ends. Raises InvalidRequest."""
    wanted = training_task(job, bench)
    places = (
        ("training_file", job.training_file, wanted.training_file),
        ("validation_file", job.validation_file, wanted.validation_file),
    )
    for param, file_id, target in places:
        if file_id is None or target is None or target.exists():
            continue
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        partial = target.with_suffix(".partial")
        try:
            bench.files.copy(bench.files.get(job.project, file_id), partial)
        except NotFound as error:
            raise InvalidRequest(f"The file {file_id} is gone.", param=param, code="file_not_found") from error
        durable_files.sync_path(partial)  # a file that is there is read as whole, also after a power cut
        partial.replace(target)


def clean_up(job: FineTuningJob, bench: FineTuningDeps) -> None:
    """Remove what an ended job has left: its files, and, where it has no result, everything that it made."""
    if job.status != "succeeded":
        # A model that is not there any more has nothing that could be asked.
        with suppress(NotFound, InvalidRequest):
            bench.training.prepare_run(training_task(job, bench)).discard()
        with suppress(NotFound):
            bench.remove_model(job.name)
    shutil.rmtree(bench.folder / job.id, ignore_errors=True)
    bench.queue.mark_cleaned(job)
