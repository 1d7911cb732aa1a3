"""What the server needs of a trainer, and a trainer of its queue."""

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
    """Fine-tuning jobs as the server sees them that trains them. Synchronous.

    Methods that change a job return whether they did: a job that was cancelled or taken over meanwhile stays as it is,
    and of a paused one only the current step is recorded.
    """

    def next_job(self, server: str) -> FineTuningJob | None:
        """Return the server's next job: an interrupted one, else the one that has waited longest."""
        ...

    def is_wanted(self, server: str, job_id: str) -> bool:
        """Return whether an active job should continue on this server."""
        ...

    def heartbeat(self, server: str) -> None:
        """Record that the server is alive, and assign it the unfinished jobs of servers without a recent heartbeat."""
        ...

    def start(self, job: FineTuningJob) -> bool:
        """Record that a job's files are being read."""
        ...

    def record_prepared(self, job: FineTuningJob, event: TrainingPrepared) -> bool:
        """Record that a job's files are valid, and that its training starts or resumes at a step."""
        ...

    def record_step(self, job: FineTuningJob, step_metrics: StepMetrics, steps: int, finish_at: int | None) -> bool:
        """Record a step; one that is recorded already is ignored."""
        ...

    def record_checkpoint(self, job: FineTuningJob, step_metrics: StepMetrics, name: str) -> bool:
        """Record that a checkpoint is a model of this name; of earlier ones only the latest are kept."""
        ...

    def succeed(self, job: FineTuningJob, result: TrainingResult) -> bool:
        """Record that a job has its model. The table of metrics becomes a file of its project."""
        ...

    def fail(self, job: FineTuningJob, fault: ErrorInfo) -> bool:
        """Record that a job failed."""
        ...

    def list_uncleaned(self, server: str) -> Sequence[FineTuningJob]:
        """Return jobs that have ended and may have left files."""
        ...

    def mark_cleaned(self, job: FineTuningJob) -> None:
        """Record that nothing of a job is left to delete."""
        ...

    def counts(self) -> Mapping[str, int]:
        """Return the number of jobs by status."""
        ...


class TrainingRun(Protocol):
    """One training run. `stop` may be called from any thread; the rest is synchronous."""

    def run(self, on_event: Callable[[TrainingEvent], None]) -> TrainingResult | None:
        """Train to the end and install the new model; None if the run was stopped. Blocks; calls `on_event` meanwhile.

        Raises InvalidRequest for invalid files or models, Unavailable without enough memory or PyTorch, EngineFailed.
        """
        ...

    def stop(self) -> None:
        """End the run after the current step, or before it starts; its progress is saved, and a later run resumes."""
        ...

    def discard(self) -> None:
        """Delete all that the run wrote, checkpoints included, except its final model. Not while it runs."""
        ...


class TrainingService(Protocol):
    """Trains models in processes of low priority. Synchronous: the event loop calls it through a thread."""

    def check_model(self, model: str) -> str:
        """Return the digest of a model that can be trained, by real name.

        Raises ModelNotFound, InvalidRequest for a model that cannot be trained, and Unavailable if the extra is not
        installed.
        """
        ...

    def model_name(self, model: str, suffix: str | None, identity: str) -> str:
        """Return the name of a fine-tuned model: `ft:model:organization:suffix:identity`. Raises InvalidRequest."""
        ...

    def check_file(self, file: Path, method: Method, param: str) -> None:
        """Check that a file holds examples for a method. Raises InvalidRequest with `param` and the line."""
        ...

    def prepare_run(self, task: TrainingTask) -> TrainingRun:
        """Return the training run of an accepted task."""
        ...
