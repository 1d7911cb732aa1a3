"""What the server tells a terminal: what runs, what was found, how a fetch goes.

Values only, the seam between `app` (which knows) and `cli` (which prints). Knows nothing of either.
"""

from typing import Protocol

import msgspec


class ProgressReporter(Protocol):
    """Receives how a fetch goes, in bytes, and lines for the user."""

    def total(self, size: int) -> None:
        """All of it is `size` bytes, those already here included."""
        ...

    def advance(self, size: int) -> None:
        """`size` more bytes are here; negative where bytes had to be thrown away."""
        ...

    def message(self, text: str) -> None:
        """One line for the user."""
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
    """The server is up: where, with which models (`loaded` ones first in line), names and kernels.

    Of models that adapt another it tells how many are `tuned`.
    """

    url: str
    key: str | None
    models: tuple[str, ...]
    aliases: dict[str, str]
    kernels: str
    notes: tuple[str, ...] = ()
    tuned: int = 0


class WorkerReport(msgspec.Struct, frozen=True):
    """One model's process; times in seconds.

    `state` is `queued` (waits for memory), `loading` (restarts included), `ready`, `paused` (it failed repeatedly, the
    next attempt follows after a pause), `stopping` or `stopped`.
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
    idle_s: float = 0.0


class WorkerList(msgspec.Struct, frozen=True):
    """The answer of `GET /admin/v1/workers`."""

    data: tuple[WorkerReport, ...]
    object: str = "list"


class Finding(msgspec.Struct, frozen=True):
    """One line of the doctor. `state` is `good`, `warning` or `bad`; `remedy` says what to do about it."""

    name: str
    state: str
    detail: str
    remedy: str = ""
