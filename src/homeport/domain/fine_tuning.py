"""Fine-tuning jobs: what was requested, the progress, the result.

One kind of job for every API that creates one. Knows nothing of how models are trained, nor of where jobs are stored.
"""

from typing import Any, Literal

import msgspec

from homeport.domain.errors import ErrorInfo
from homeport.domain.training import Hyperparameters

JobStatus = Literal["queued", "validating_files", "running", "paused", "succeeded", "failed", "cancelled"]
ACTIVE_STATUSES: tuple[JobStatus, ...] = ("validating_files", "running")
UNFINISHED_STATUSES: tuple[JobStatus, ...] = ("queued", *ACTIVE_STATUSES, "paused")
ENDED: tuple[JobStatus, ...] = ("succeeded", "failed", "cancelled")


class NewFineTuningJob(msgspec.Struct, frozen=True, kw_only=True):
    """A requested job, checked as far as possible without its files.

    `requested_model`: the model's name as requested; `model`: its real name. `id_prefix`: the beginning of the job's
    id.
    """

    project: str
    requested_model: str
    model: str
    training_file: str
    validation_file: str | None = None
    suffix: str | None = None
    hyperparameters: Hyperparameters = Hyperparameters()
    metadata: dict[str, str] | None = None
    id_prefix: str = "ftjob-"


class FineTuningJob(msgspec.Struct, frozen=True, kw_only=True):
    """A job. Times are seconds since 1970; `name` is the name of the resulting model.

    `server`: the one that trains it. `asked`: the model's name as requested. `hyperparameters`: as requested; once its
    files are read, the resolved ones. `step` of `steps` is done; `tokens` were trained on, counting repetitions.
    """

    id: str
    project: str
    server: str
    status: JobStatus = "queued"
    asked: str
    model: str
    digest: str
    name: str
    training_file: str
    validation_file: str | None = None
    hyperparameters: Hyperparameters
    metadata: dict[str, str] | None = None
    created_at: int = 0
    updated_at: int = 0
    finished_at: int | None = None
    estimated_finish: int | None = None
    step: int = 0
    steps: int | None = None
    result_file: str | None = None
    tokens: int | None = None
    error: ErrorInfo | None = None


class FineTuningEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An entry of a job's log. `data`: the metrics of a step."""

    id: str
    created_at: int
    message: str
    level: Literal["info", "warn", "error"] = "info"
    type: Literal["message", "metrics"] = "message"
    data: dict[str, Any] | None = None


class FineTuningCheckpoint(msgspec.Struct, frozen=True, kw_only=True):
    """A model that a job saved at the end of an epoch, and the metrics of its step."""

    id: str
    job: str
    created_at: int
    step: int
    name: str
    metrics: dict[str, float]
