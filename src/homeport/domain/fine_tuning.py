"""Fine-tuning jobs as they are kept: what was asked for, how far it is, what came of it; and the books they are in.

One kind of job for every API that asks for one. Knows nothing of how models are trained, nor of where jobs are kept.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

import msgspec

from homeport.domain.errors import Fault
from homeport.domain.training import (
    Hyperparameters,
    Measures,
    Prepared,
    Tuned,
)

Status = Literal["queued", "validating_files", "running", "paused", "succeeded", "failed", "cancelled"]
UNDER_WAY: tuple[Status, ...] = ("validating_files", "running")
OPEN: tuple[Status, ...] = ("queued", *UNDER_WAY, "paused")
CHECKPOINTS = 3
"""So many of a job's checkpoints stay, the latest."""
ENDED: tuple[Status, ...] = ("succeeded", "failed", "cancelled")


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What a caller asks for, checked as far as that goes without its files.

    `asked`: the model's name as it was asked for; `model`: the real one. `prefix`: what the job's id begins with.
    """

    project: str
    asked: str
    model: str
    training_file: str
    validation_file: str | None = None
    suffix: str | None = None
    hyperparameters: Hyperparameters = Hyperparameters()
    metadata: dict[str, str] | None = None
    prefix: str = "ftjob-"


class FineTune(msgspec.Struct, frozen=True, kw_only=True):
    """A job. Times are seconds since 1970; `name` is what the new model is, or will be, called.

    `server`: the one that trains it. `hyperparameters`: as asked for, and from the time that its files are read, as
    settled. `step` of `steps` is done; `tokens` were trained on, with repeats.
    """

    id: str
    project: str
    server: str
    status: Status = "queued"
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
    error: Fault | None = None


class JobEvent(msgspec.Struct, frozen=True, kw_only=True):
    """Something that was to be told of a job. `data`: of a step, its measures."""

    id: str
    created_at: int
    message: str
    level: Literal["info", "warn", "error"] = "info"
    type: Literal["message", "metrics"] = "message"
    data: dict[str, Any] | None = None


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """A model that a job has left on its way, and how its step went."""

    id: str
    job: str
    created_at: int
    step: int
    name: str
    metrics: dict[str, float]


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """Which part of a list is wanted: `limit` of it (None: all) behind the one with the id `after`.

    `metadata`: only jobs with these pairs; empty: only jobs without any; None: all.
    """

    limit: int | None = None
    after: str | None = None
    is_newest_first: bool = True
    metadata: Mapping[str, str] | None = None


class FineTuneBook(Protocol):
    """Jobs as callers see them; a project sees its own alone. Synchronous: on the event loop called through a thread.

    Whatever names a job raises Missing for one that is not there, also for another project's.
    """

    def add(self, job: FineTune, most_waiting: int) -> FineTune:
        """Keep a new job; its times are made here. Raises Overloaded where its server has so many that wait."""
        ...

    def every(self, project: str, page: Page) -> tuple[Sequence[FineTune], bool]:
        """A project's jobs, and whether there are more. Raises InvalidRequest for an unknown `after`."""
        ...

    def show(self, project: str, job_id: str) -> FineTune:
        """One job."""
        ...

    def events(self, project: str, job_id: str, page: Page) -> tuple[Sequence[JobEvent], bool]:
        """What was told of a job, and whether there is more. Raises InvalidRequest for an unknown `after`."""
        ...

    def checkpoints(self, project: str, job_id: str, page: Page) -> tuple[Sequence[Checkpoint], bool]:
        """What a job has left on its way, and whether there is more. Raises InvalidRequest for an unknown `after`."""
        ...

    def cancel(self, project: str, job_id: str) -> FineTune:
        """End a job for good. Raises InvalidRequest for one that has ended."""
        ...

    def pause(self, project: str, job_id: str) -> FineTune:
        """Have a job wait until it is resumed. Raises InvalidRequest for one that has ended or waits so already."""
        ...

    def resume(self, project: str, job_id: str) -> FineTune:
        """Put a paused job back into the queue. Raises InvalidRequest for one that is not paused."""
        ...


class TrainingLog(Protocol):
    """Jobs as the server sees them that trains them. Synchronous.

    Whatever changes a job gives whether it did: one that was cancelled or taken over meanwhile is left as it is, and of
    one that was paused only the step under way is written down.
    """

    def next(self, server: str) -> FineTune | None:
        """The server's job to train now: one that was cut off, else the one that waits longest."""
        ...

    def is_wanted(self, server: str, job_id: str) -> bool:
        """Whether a job under way is to go on, here."""
        ...

    def beat(self, server: str) -> None:
        """Say that the server lives, and give it the open jobs of those that have not said so for long."""
        ...

    def begin(self, job: FineTune) -> bool:
        """A job's files are being read."""
        ...

    def prepared(self, job: FineTune, told: Prepared) -> bool:
        """A job's files are fit, and its training goes on from a step."""
        ...

    def measured(self, job: FineTune, told: Measures, steps: int, finish_at: int | None) -> bool:
        """A step is done; one that was told already is passed over."""
        ...

    def saved(self, job: FineTune, told: Measures, name: str) -> bool:
        """A checkpoint is a model of this name; of those before it only the latest are there still."""
        ...

    def succeed(self, job: FineTune, made: Tuned) -> bool:
        """A job has its model. The table of measures becomes a file of its project's."""
        ...

    def fail(self, job: FineTune, fault: Fault) -> bool:
        """A job cannot be done."""
        ...

    def untidy(self, server: str) -> Sequence[FineTune]:
        """Jobs that have ended and may have left something behind."""
        ...

    def tidied(self, job: FineTune) -> None:
        """Nothing is left behind any more."""
        ...

    def counts(self) -> Mapping[str, int]:
        """How many jobs there are, by status."""
        ...
