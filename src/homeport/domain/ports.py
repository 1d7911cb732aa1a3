"""The sockets of the house: Protocols that one room needs and another fills. `app` plugs them together."""

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Protocol

import msgspec

from homeport.domain.events import Admitted, Event
from homeport.domain.link import Request
from homeport.domain.models import Alias, Gauges, Installed, Loaded, Resolved

Emit = Callable[[Sequence[tuple[int, Event]]], None]


class Engine(Protocol):
    """One loaded model inside a worker. Threads: `run` owns one; the others are called from the link's thread."""

    @property
    def loaded(self) -> Loaded:
        """Facts about the loaded model."""
        ...

    def open(self, id: int, request: Request, credit: int) -> None:
        """Take a request. Never blocks: checks and tokenising happen on the engine's own threads."""
        ...

    def input(self, id: int, chunk: bytes) -> None:
        """Take more input of a request."""
        ...

    def credit(self, id: int, n: int) -> None:
        """Allow `n` more events."""
        ...

    def cancel(self, id: int) -> None:
        """Drop a request and free what it holds within one step. Unknown ids are ignored."""
        ...

    def gauges(self) -> Gauges:
        """How it stands now. Callable from any thread."""
        ...

    def run(self, emit: Emit) -> None:
        """Work until `close`; `emit` gets the events of each step, in order."""
        ...

    def close(self) -> None:
        """Make `run` return soon. Callable from any thread."""
        ...


class Stream(Protocol):
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

    async def open(self, model: Installed, request: Request) -> Stream:
        """Admit a request (load the model first if need be). Raises Overloaded or Unavailable before any work."""
        ...

    def loaded(self, model: str) -> Loaded | None:
        """Facts of a model that is loaded now, else None."""
        ...

    def gauges(self) -> dict[str, Gauges]:
        """The latest gauges of every loaded model, by real name."""
        ...

    @property
    def is_ready(self) -> bool:
        """Whether requests would be served now: not draining, no supervised worker dead or stuck."""
        ...


class Operations(Protocol):
    """What an operator may see of the workers, and do to them. `Serving` of one machine has these too."""

    def status(self) -> Sequence[msgspec.Struct]:
        """How every worker stands now: `model`, `pid`, `state` and what else is known, as it goes out in JSON."""
        ...

    async def stop(self, model: str) -> bool:
        """Unload a model, by real name. False where it is not loaded."""
        ...


class Registry(Protocol):
    """Knows which models are installed and which names stand for them. Never downloads, deletes on a caller's word."""

    def resolve(self, name: str, capability: str) -> Resolved:
        """Find the model behind a name, whatever it can do where `capability` is empty.

        Raises ModelMissing (with near matches) or InvalidRequest (wrong kind).
        """
        ...

    def models(self) -> Sequence[Installed]:
        """Every installed model."""
        ...

    def aliases(self) -> Sequence[Alias]:
        """Every alias whose target is installed."""
        ...

    def remove(self, name: str) -> None:
        """Delete a fine-tuned model, by its real name. Requests that it answers now are answered."""
        ...
