"""What the server needs of a trainer, and what a trainer needs of its queue."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from homeport.domain.errors import ErrorInfo
from homeport.domain.fine_tuning import FineTuningJob
from homeport.domain.training import (
    Method,
    StepMetrics,
    TrainingEvent,
    TrainingPrepared,
    TrainingResult,
    TrainingTask,
)


class TrainingQueue(Protocol):
    """Jobs as the server sees them that trains them. Synchronous.

    Whatever changes a job gives whether it did: one that was cancelled or taken over meanwhile is left as it is, and of
    one that was paused only the step under way is written down.
    """

    def next_job(self, server: str) -> FineTuningJob | None:
        """The server's job to train now: one that was cut off, else the one that waits longest."""
        ...

    def is_wanted(self, server: str, job_id: str) -> bool:
        """Whether a job under way is to go on, here."""
        ...

    def heartbeat(self, server: str) -> None:
        """Say that the server lives, and give it the open jobs of those that have not said so for long."""
        ...

    def start(self, job: FineTuningJob) -> bool:
        """A job's files are being read."""
        ...

    def record_prepared(self, job: FineTuningJob, event: TrainingPrepared) -> bool:
        """A job's files are fit, and its training goes on from a step."""
        ...

    def record_step(self, job: FineTuningJob, step_metrics: StepMetrics, steps: int, finish_at: int | None) -> bool:
        """A step is done; one that was told already is passed over."""
        ...

    def record_checkpoint(self, job: FineTuningJob, step_metrics: StepMetrics, name: str) -> bool:
        """A checkpoint is a model of this name; of those before it only the latest are there still."""
        ...

    def succeed(self, job: FineTuningJob, result: TrainingResult) -> bool:
        """A job has its model. The table of measures becomes a file of its project's."""
        ...

    def fail(self, job: FineTuningJob, fault: ErrorInfo) -> bool:
        """A job cannot be done."""
        ...

    def list_uncleaned(self, server: str) -> Sequence[FineTuningJob]:
        """Jobs that have ended and may have left something behind."""
        ...

    def mark_cleaned(self, job: FineTuningJob) -> None:
        """Nothing is left behind any more."""
        ...

    def counts(self) -> Mapping[str, int]:
        """How many jobs there are, by status."""
        ...


class TrainingRun(Protocol):
    """One training. `stop` may be called from any thread; the rest is synchronous."""

    def run(self, on_event: Callable[[TrainingEvent], None]) -> TrainingResult | None:
        """Train to the end and install the new model; None where it was stopped. Blocks, and calls `hear` meanwhile.

        Raises whatever it failed of: InvalidRequest for files and models that do not fit, Unavailable for want of
        memory or PyTorch, EngineFailed.
        """
        ...

    def stop(self) -> None:
        """End it after the step under way, also before it runs; what was done is kept, and the same work goes on."""
        ...

    def discard(self) -> None:
        """Remove all that it wrote, checkpoints included, but not the model that it ended with. Not while it runs."""
        ...


class TrainingService(Protocol):
    """Trains models in processes of low priority. Synchronous: on the event loop it is called through a thread."""

    def check_model(self, model: str) -> str:
        """The hash of what would be trained, by real name.

        Raises ModelNotFound, InvalidRequest for a model that cannot be trained, and Unavailable where the extra is
        missing.
        """
        ...

    def model_name(self, model: str, suffix: str | None, identity: str) -> str:
        """What a fine-tuned model is called: `ft:model:organization:suffix:identity`. Raises InvalidRequest."""
        ...

    def check_file(self, file: Path, method: Method, param: str) -> None:
        """Read a file as examples for a method. Raises InvalidRequest that names the field `param` and the line."""
        ...

    def prepare_run(self, task: TrainingTask) -> TrainingRun:
        """The training of accepted work, to be run."""
        ...
