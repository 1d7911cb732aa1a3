"""The sockets of the house: Protocols that one room needs and another fills. `app` plugs them together."""

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Protocol

import msgspec

from homeport.domain.events import Admitted, Event
from homeport.domain.models import (
    EngineStats,
    InstalledModel,
    LoadedModel,
)
from homeport.domain.worker_messages import EngineRequest

More = Callable[[int, int], int]
"""How many more tokens a request gets, given the tokens used so far and the most it can still use; 0: none are left."""


class RequestStream(Protocol):
    """One request under way, as the gateway sees it. `aclose` cancels what is not finished; always call it."""

    model: str

    async def admitted(self) -> Admitted:
        """Wait until the worker has accepted the request; raise its error otherwise."""
        ...

    def __aiter__(self) -> AsyncIterator[Sequence[Event]]:
        """Give the events after `Admitted`, in batches as they arrive, `Done` last. Raises what `Failed` carries."""
        ...

    async def aclose(self) -> None:
        """Cancel if unfinished and give back the lease. Safe to call twice."""
        ...


class Serving(Protocol):
    """Runs requests on models, wherever these live: child processes here, replicas in a cluster."""

    async def open(
        self,
        model: InstalledModel,
        request: EngineRequest,
        *,
        is_background: bool = False,
        holder: str = "",
        more: More | None = None,
    ) -> RequestStream:
        """Admit a request (load the model first if need be). Raises Overloaded or Unavailable before any work.

        What is in the background rests while others ask. Holders share a model's places; `more` is asked when a
        request's quota runs low.
        """
        ...

    def loaded(self, model: str) -> LoadedModel | None:
        """Facts of a model that is loaded now, else None."""
        ...

    def stats(self) -> dict[str, EngineStats]:
        """The latest gauges of every loaded model, by real name."""
        ...

    @property
    def is_ready(self) -> bool:
        """Whether requests would be served now: not draining, no supervised worker dead or stuck."""
        ...


class WorkerOperations(Protocol):
    """What an operator may see of the workers, and do to them. `Serving` of one machine has these too."""

    def status(self) -> Sequence[msgspec.Struct]:
        """How every worker stands now: `model`, `pid`, `state` and what else is known, as it goes out in JSON."""
        ...

    async def stop(self, model: str) -> bool:
        """Unload a model, by real name. False where it is not loaded."""
        ...
