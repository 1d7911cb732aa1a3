"""Model jobs: pulling or optimizing a model in the background of a server, and what the process of one reports.

Knows nothing of hubs, processes or HTTP.
"""

from typing import Literal

import msgspec

from homeport.domain.errors import ErrorInfo
from homeport.domain.weight_layouts import OptimizeResult

ModelTask = Literal["pull", "optimize"]
ModelJobStatus = Literal["queued", "running", "paused", "interrupted", "completed", "failed", "cancelled"]
ACTIVE_STATUSES: tuple[ModelJobStatus, ...] = ("queued", "running")
UNFINISHED_STATUSES: tuple[ModelJobStatus, ...] = (*ACTIVE_STATUSES, "paused", "interrupted")
RESUMABLE_STATUSES: tuple[ModelJobStatus, ...] = ("paused", "interrupted", "failed")
ENDED_STATUSES: tuple[ModelJobStatus, ...] = ("completed", "failed", "cancelled")


class NewModelJob(msgspec.Struct, frozen=True, kw_only=True):
    """A requested job. `reference`: what to pull, or the name of the model to optimize.

    `model`: the model's name, None until it is known. Of a pull: `projector`, `accepts_licence` as in `PullOptions`;
    `optimize`: whether an optimization follows. Of an optimization: `layout` and `is_dry` as in `OptimizeOptions`.
    """

    task: ModelTask
    reference: str
    model: str | None = None
    projector: str | None = None
    accepts_licence: bool = False
    optimize: bool = False
    layout: str | None = None
    is_dry: bool = False

    @property
    def wish(self) -> tuple[object, ...]:
        """What was asked for: two jobs with equal wishes do the same."""
        return self.task, self.reference, self.projector, self.accepts_licence, self.optimize, self.layout, self.is_dry


class ModelJob(NewModelJob, frozen=True, kw_only=True):
    """A job. Times are seconds since 1970, sizes are in bytes.

    `interrupted`: its server ended, and it can be resumed. `files_of`: the model whose files are fetched now, which may
    be one that the job's model needs. `done_bytes` includes what was present already; `bytes_per_s`: the rate of what
    is transferred now. `message`: its latest line for the user. `next_job`: the optimization that follows a pull.
    `result`: of an optimization. `error`: why it failed.
    """

    id: str
    status: ModelJobStatus = "queued"
    created_at: int = 0
    started_at: int | None = None
    ended_at: int | None = None
    files_of: str | None = None
    total_bytes: int = 0
    done_bytes: int = 0
    bytes_per_s: float = 0.0
    message: str = ""
    next_job: str | None = None
    result: OptimizeResult | None = None
    error: ErrorInfo | None = None


class TaskProgress(msgspec.Struct, frozen=True, tag=True):
    """A line from the process of a job: its state so far. `received_bytes` were transferred by this process."""

    total_bytes: int = 0
    done_bytes: int = 0
    received_bytes: int = 0
    files_of: str | None = None
    message: str = ""


class TaskEnd(msgspec.Struct, frozen=True, tag=True):
    """The last line from the process of a job: the installed model, or why there is none."""

    model: str | None = None
    result: OptimizeResult | None = None
    error: ErrorInfo | None = None


TaskEvent = TaskProgress | TaskEnd
