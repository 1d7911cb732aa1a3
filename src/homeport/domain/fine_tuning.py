"""Fine-tuning jobs as they are kept: what was asked for, how far it is, what came of it; and the books they are in.

One kind of job for every API that asks for one. Knows nothing of how models are trained, nor of where jobs are kept.
"""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from homeport.domain.errors import ErrorInfo
from homeport.domain.training import (
    Hyperparameters,
)

JobStatus = Literal["queued", "validating_files", "running", "paused", "succeeded", "failed", "cancelled"]
ACTIVE_STATUSES: tuple[JobStatus, ...] = ("validating_files", "running")
UNFINISHED_STATUSES: tuple[JobStatus, ...] = ("queued", *ACTIVE_STATUSES, "paused")
MAX_CHECKPOINTS = 3
"""So many of a job's checkpoints stay, the latest."""
ENDED: tuple[JobStatus, ...] = ("succeeded", "failed", "cancelled")


class NewFineTuningJob(msgspec.Struct, frozen=True, kw_only=True):
    """What a caller asks for, checked as far as that goes without its files.

    `asked`: the model's name as it was asked for; `model`: the real one. `prefix`: what the job's id begins with.
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
    """A job. Times are seconds since 1970; `name` is what the new model is, or will be, called.

    `server`: the one that trains it. `hyperparameters`: as asked for, and from the time that its files are read, as
    settled. `step` of `steps` is done; `tokens` were trained on, with repeats.
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
    """Something that was to be told of a job. `data`: of a step, its measures."""

    id: str
    created_at: int
    message: str
    level: Literal["info", "warn", "error"] = "info"
    type: Literal["message", "metrics"] = "message"
    data: dict[str, Any] | None = None


class FineTuningCheckpoint(msgspec.Struct, frozen=True, kw_only=True):
    """A model that a job has left on its way, and how its step went."""

    id: str
    job: str
    created_at: int
    step: int
    name: str
    metrics: dict[str, float]


class PageRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Which part of a list is wanted: `limit` of it (None: all) behind the one with the id `after`.

    `metadata`: only jobs with these pairs; empty: only jobs without any; None: all.
    """

    limit: int | None = None
    after: str | None = None
    is_newest_first: bool = True
    metadata: Mapping[str, str] | None = None
