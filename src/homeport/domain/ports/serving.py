"""The interface of what runs requests on models. `app` chooses the implementation."""

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Protocol

from homeport.domain.events import Admitted, Event
from homeport.domain.models import (
    EngineStats,
    InstalledModel,
    LoadedModel,
)
from homeport.domain.operations import WorkerReport
from homeport.domain.worker_messages import EngineRequest

More = Callable[[int, int], int]
"""Returns how many more tokens a request gets, given those used so far and how many it can still use; 0: none."""


class RequestStream(Protocol):
    """One running request, as the gateway sees it. `aclose` cancels what is not finished; always call it."""

    model: str

    async def admitted(self) -> Admitted:
        """Wait until the worker has admitted the request; raise its error otherwise."""
        ...

    def __aiter__(self) -> AsyncIterator[Sequence[Event]]:
        """Yield the events after `Admitted`, in batches as they arrive, `Done` last. Raises the error of `Failed`."""
        ...

    async def aclose(self) -> None:
        """Cancel the request if unfinished, and release the lease. Safe to call twice."""
        ...


class IdleGate(Protocol):
    """Decides when background work may run: while no caller waits."""

    @property
    def is_open(self) -> bool:
        """Whether background work may run now."""
        ...

    async def wait_open(self) -> None:
        """Wait until background work may run."""
        ...


class Serving(Protocol):
    """Runs requests on models, in child processes of this machine or elsewhere."""

    @property
    def idle_gate(self) -> IdleGate:
        """The gate that background work waits for."""
        ...

    @property
    def is_ready(self) -> bool:
        """Whether the server can serve requests: it is not draining, and no supervised worker is dead or stuck."""
        ...

    async def start(self) -> None:
        """Start to accept requests. Loads nothing."""
        ...

    async def preload(self, models: Sequence[InstalledModel]) -> None:
        """Load models now. Raises Unavailable if one does not load."""
        ...

    async def open(
        self,
        model: InstalledModel,
        request: EngineRequest,
        *,
        is_background: bool = False,
        holder: str = "",
        more: More | None = None,
    ) -> RequestStream:
        """Admit a request, and load the model first if necessary. Raises Overloaded or Unavailable before any work.

        Background requests pause while callers wait. Holders share a model's places. `more` is called when the
        request's quota runs low.
        """
        ...

    def loaded(self, model: str) -> LoadedModel | None:
        """Return facts about a model that is loaded now, else None."""
        ...

    def in_use(self, model: str) -> int:
        """Return how many requests hold or wait for a model now."""
        ...

    def stats(self) -> dict[str, EngineStats]:
        """Return the latest stats of every loaded model, by real name."""
        ...

    def worker_bytes(self) -> dict[str, int]:
        """Return the resident memory of every worker when it was last measured, by real name."""
        ...

    def worker_status(self) -> Sequence[WorkerReport]:
        """Return the state of every worker, for operators."""
        ...

    async def stop(self, model: str, wait_s: float = 0.0) -> bool:
        """Unload a model, by real name, after waiting up to `wait_s` for its requests. False if it is not loaded."""
        ...

    async def drain(self, timeout_s: float) -> None:
        """Refuse new requests, let running ones finish for up to `timeout_s`, then end every worker."""
        ...

    async def close(self) -> None:
        """End every worker now. Open streams fail. Safe to call twice."""
        ...
