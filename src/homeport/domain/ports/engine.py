"""The interface of an engine to its worker."""

from collections.abc import Callable, Sequence
from typing import Protocol

from homeport.domain.events import Event
from homeport.domain.models import (
    EngineStats,
    LoadedModel,
)
from homeport.domain.worker_messages import EngineRequest

EmitEvents = Callable[[Sequence[tuple[int, Event]]], None]


class Engine(Protocol):
    """One loaded model inside a worker. Threads: `run` owns one; the others are called from the link's thread."""

    @property
    def loaded(self) -> LoadedModel:
        """Facts about the loaded model."""
        ...

    def open(self, id: int, request: EngineRequest, credit: int) -> None:
        """Take a request. Never blocks: the engine checks and tokenizes on its own threads."""
        ...

    def credit(self, id: int, n: int) -> None:
        """Allow `n` more events."""
        ...

    def grant(self, id: int, n: int) -> None:
        """Answer a request's `QuotaLow`: `n` more tokens; 0: no more."""
        ...

    def cancel(self, id: int) -> None:
        """Drop a request and free what it holds within one step. Unknown ids are ignored."""
        ...

    def stats(self) -> EngineStats:
        """Return the current stats. Callable from any thread."""
        ...

    def run(self, emit: EmitEvents) -> None:
        """Run until `close`; call `emit` with the events of each step, in order."""
        ...

    def close(self) -> None:
        """Make `run` return soon. Callable from any thread."""
        ...
