"""Values that the server reports to a terminal: running models, findings, the progress of a download.

`app` creates them and `cli` prints them. Knows nothing of either.
"""

from collections.abc import Mapping
from typing import Protocol

import msgspec

from homeport.domain.model_choices import ModelOffer
from homeport.domain.models import EngineStats


class ProgressReporter(Protocol):
    """Receives the progress of a download, in bytes, and lines for the user."""

    def total(self, size: int) -> None:
        """Set the total to `size` bytes, including those already present."""
        ...

    def advance(self, size: int) -> None:
        """Add `size` bytes; negative if bytes had to be discarded."""
        ...

    def message(self, text: str) -> None:
        """Show one line to the user."""
        ...


class NullProgress:
    """A `ProgressReporter` that reports nothing."""

    def total(self, size: int) -> None:
        """Report nothing."""

    def advance(self, size: int) -> None:
        """Report nothing."""

    def message(self, text: str) -> None:
        """Report nothing."""


class Announcement(msgspec.Struct, frozen=True):
    """The server accepts requests: its URL, models (loaded ones first), aliases and kernels.

    `offer`: a larger model than the default text model, which the user may choose. `page`: where a browser finds the
    page; None: it is turned off.
    """

    url: str
    key: str | None
    models: tuple[str, ...]
    aliases: dict[str, str]
    kernels: str
    notes: tuple[str, ...] = ()
    n_fine_tuned: int = 0
    offer: ModelOffer | None = None
    page: str | None = None


class WorkerReport(msgspec.Struct, frozen=True):
    """The state of one model's worker; times are in seconds. `memory_bytes` includes mapped weights, but not the memory
    of GPUs, which is `device_bytes`.

    `prompts`: what computes prompts and several streams, if not the kernels.
    `state` is `queued` (waits for memory), `loading` (restarts included), `ready`, `paused` (it failed repeatedly, the
    next attempt follows after a pause), `stopping`, `stopped` or `unreachable` (the replica's link is down).
    `restarts`: how often the worker was restarted; `reason`: why it ended last. `node` and `replica`: where it runs, if
    that is not this machine.
    """

    model: str
    pid: int | None
    state: str
    memory_bytes: int = 0
    running: int = 0
    waiting: int = 0
    cells_used: int = 0
    cells: int = 0
    window: int = 0
    kernels: str = ""
    prompts: str = ""
    device: str = ""
    device_bytes: int = 0
    idle_s: float = 0.0
    restarts: int = 0
    reason: str | None = None
    node: str = ""
    replica: str = ""


class WorkerList(msgspec.Struct, frozen=True):
    """The response of `GET /admin/v1/workers`."""

    data: tuple[WorkerReport, ...]
    object: str = "list"


class ReplicaStats(msgspec.Struct, frozen=True):
    """The latest statistics of one replica of a model, and where it runs."""

    model: str
    node: str
    replica: str
    stats: EngineStats


class ClusterStats(msgspec.Struct, frozen=True):
    """What one gateway knows of its cluster. `replicas`: those that it has a link to.

    By the model's real name: `wanted`: the replicas that should run; `ready`: those that take this gateway's requests;
    `waiting`: this gateway's requests that wait for a replica; `links_lost`: how often it lost a link to one that was
    not ending. `retries`: how often it sent requests again, by the reason. `gateways`: the gateways of the cluster that
    are alive, this one included.
    """

    replicas: tuple[ReplicaStats, ...]
    wanted: Mapping[str, int]
    ready: Mapping[str, int]
    waiting: Mapping[str, int]
    links_lost: Mapping[str, int]
    retries: Mapping[str, int]
    gateways: int


class Finding(msgspec.Struct, frozen=True):
    """One line of `homeport doctor`. `state` is `good`, `warning` or `bad`; `remedy` says what to do."""

    name: str
    state: str
    detail: str
    remedy: str = ""
