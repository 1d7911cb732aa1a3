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

from homeport.domain.errors import EngineFailed, HomeportError, InvalidRequest, Missing
from homeport.domain.fine_tuning import FineTune, FineTuneBook, TrainingLog
from homeport.domain.ports.serving import FileBook, Training, Trainings
from homeport.domain.training import (
    Measures,
    Prepared,
    Saved,
    Told,
    Tuned,
    TuningWork,
)
from homeport.formats import durable_files

_TRAINING, _VALIDATION = "training.jsonl", "validation.jsonl"

_log = logging.getLogger("homeport.training")


@dataclass(frozen=True)
class Bench:
    """What fine-tuning works with here.

    `folder`: where the jobs' files are while they are needed; `forget` deletes a fine-tuned model by its name.
    """

    trainings: Trainings
    book: FineTuneBook
    log: TrainingLog
    files: FileBook
    forget: Callable[[str], None]
    folder: Path


class Unwritten(Exception):
    """What happened could not be written down: the books cannot be reached now. The job goes on later."""


class Attempt:
    """One attempt at one job. `stop` may be called from any thread; `ring` is called whenever a row has changed.

    `has_begun`: from then on the job's row says that it is under way, or the attempt is not wanted any more.
    """

    def __init__(self, job: FineTune, bench: Bench, ring: Callable[[], None]) -> None:
        self.job = job
        self._bench = bench
        self._ring = ring
        self._guard = threading.Lock()
        self._training: Training | None = None
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
        """Train the job to its end, or until it is stopped. Raises Unwritten."""
        job = self.job
        if not self._written(lambda log: log.begin(job)):
            return
        self.has_begun = True
        try:
            made = self._trained()
        except Unwritten:
            raise
        except HomeportError as error:
            self._fail(error)
        except Exception:
            _log.exception("fine-tuning job %s broke", job.id)
            self._fail(EngineFailed("The server had an error while it trained. Its log says more.", code="broke"))
        else:
            if made is not None:
                self._written(lambda log: log.succeed(job, made))

    def _trained(self) -> Tuned | None:
        fetch(self.job, self._bench)
        training = self._bench.trainings.training(work(self.job, self._bench))
        with self._guard:
            self._training = training
            if self._is_stopped:
                return None
        return training.run(self._hear)

    def _fail(self, error: HomeportError) -> None:
        _log.warning("fine-tuning job %s failed: %s", self.job.id, error)
        self._written(lambda log: log.fail(self.job, error.fault))

    def _hear(self, told: Told) -> None:
        """Write down what the training tells; a job that nobody wants any more is stopped."""
        job = self.job
        if isinstance(told, Prepared):
            self._steps = told.steps
            self._began = (time.monotonic(), told.step)
            if not self._written(lambda log: log.prepared(job, told)):
                self.stop()
        elif isinstance(told, Measures):
            self._written(lambda log: log.measured(job, told, self._steps, self._finish_at(told.step)))
        elif isinstance(told, Saved) and told.model is not None:
            name = told.model
            self._written(lambda log: log.saved(job, told.measures, name))

    def _finish_at(self, step: int) -> int | None:
        if self._began is None or step <= self._began[1]:
            return None
        since, first = self._began
        per_step_s = (time.monotonic() - since) / (step - first)
        return int(time.time() + per_step_s * (self._steps - step))

    def _written(self, write: Callable[[TrainingLog], bool]) -> bool:
        try:
            done = write(self._bench.log)
        except HomeportError as error:
            raise Unwritten(str(error)) from error
        self._ring()
        return done


def work(job: FineTune, bench: Bench) -> TuningWork:
    """A job as the training is told of it: the same whenever it is asked, so that it goes on where it was."""
    folder = bench.folder / job.id
    return TuningWork(
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


def fetch(job: FineTune, bench: Bench) -> None:
    """Bring a job's files to where its training reads them; they stay until it ends. Raises InvalidRequest."""
    wanted = work(job, bench)
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
            bench.files.copy(bench.files.show(job.project, file_id), partial)
        except Missing as error:
            raise InvalidRequest(f"The file {file_id} is gone.", param=param, code="file_not_found") from error
        durable_files.sync(partial)  # a file that is there is read as whole, also after a power cut
        partial.replace(target)


def tidy(job: FineTune, bench: Bench) -> None:
    """Remove what an ended job has left: its files, and, where it has no result, everything that it made."""
    if job.status != "succeeded":
        # A model that is not there any more has nothing that could be asked.
        with suppress(Missing, InvalidRequest):
            bench.trainings.training(work(job, bench)).discard()
        with suppress(Missing):
            bench.forget(job.name)
    shutil.rmtree(bench.folder / job.id, ignore_errors=True)
    bench.log.tidied(job)
