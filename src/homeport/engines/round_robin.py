"""The round-robin engine: the queue, credit, cancellation, stats and main loop that all engines but text share.

An engine provides an `EngineWork`; the simplest is `GeneratorWork`, one generator of events per request. Threads: `run`
is the working thread; all other methods may be called from any thread and return at once. Knows nothing of any kind of
request.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from homeport.domain.errors import EngineFailed, HomeportError, InvalidRequest
from homeport.domain.events import (
    CREDIT_FREE_EVENTS,
    Admitted,
    Done,
    Event,
    Failed,
)
from homeport.domain.models import EngineStats, LoadedModel
from homeport.domain.ports.engine import EmitEvents
from homeport.domain.worker_messages import EngineRequest

R = TypeVar("R")

logger = logging.getLogger("homeport.turns")

_MISSING_END = Failed(EngineFailed("The engine did not finish its answer.").info)


@dataclass(eq=False, slots=True)
class ActiveRequest(Generic[R]):
    """One open request. `is_canceled` may become true at any moment: check it between chunks of work."""

    id: int
    request: R
    credit: int
    is_canceled: bool = False
    is_admitted: bool = False


class EngineWork(Protocol[R]):
    """An engine's work on its open requests. Only the working thread calls it."""

    def step(self, requests: Sequence[ActiveRequest[R]]) -> Iterable[tuple[int, Event]]:
        """Do one chunk of work, about a second at most, and return its events, each with its request's id.

        `requests`: all that are open and have credit, oldest first, at least one. The step must advance at least one of
        them. A request's first event is `Admitted`, its last `Done` or `Failed`.
        """
        ...

    def drop(self, id: int) -> None:
        """Drop a request that is done, failed or canceled. Called once for each, also if no step has seen it."""
        ...

    def close(self) -> None:
        """Free the model."""
        ...


class RoundRobinEngine(Generic[R]):
    """An engine around an `EngineWork`. Implements `domain.ports.engine.Engine`; `kind`: the type of its requests.

    `device_bytes` returns the model's memory on GPUs; it is called from any thread.
    """

    def __init__(
        self, loaded: LoadedModel, kind: type[R], work: EngineWork[R], device_bytes: Callable[[], int] = lambda: 0
    ) -> None:
        self._loaded = loaded
        self._kind = kind
        self._work = work
        self._device_bytes = device_bytes
        self._changed = threading.Condition()
        self._requests: dict[int, ActiveRequest[R]] = {}  # in order of arrival
        self._is_closed = False
        self._steps = 0
        self._prompt_tokens = 0
        self._step_began: float | None = None

    @property
    def loaded(self) -> LoadedModel:
        """Facts about the loaded model."""
        return self._loaded

    def open(self, id: int, request: EngineRequest, credit: int) -> None:
        """Accept a request; an id already in use is ignored. Raises InvalidRequest for a request of another kind."""
        if not isinstance(request, self._kind):
            raise InvalidRequest(f"{self._loaded.model} cannot be used for this.", param="model")
        with self._changed:
            if id not in self._requests:
                self._requests[id] = ActiveRequest(id, request, credit)
                self._changed.notify()

    def credit(self, id: int, n: int) -> None:
        """Allow `n` more events."""
        with self._changed:
            if active := self._requests.get(id):
                active.credit += n
                self._changed.notify()

    def grant(self, id: int, n: int) -> None:
        """Do nothing: these requests have no quota."""

    def cancel(self, id: int) -> None:
        """Drop a request; what it holds is freed after the current chunk of work."""
        with self._changed:
            if active := self._requests.get(id):
                active.is_canceled = True
                self._changed.notify()

    def stats(self) -> EngineStats:
        """Return the current counters and gauges. A request is running once it is admitted."""
        with self._changed:
            running = sum(active.is_admitted for active in self._requests.values())
            waiting = len(self._requests) - running
        began = self._step_began
        return EngineStats(
            running=running,
            waiting=waiting,
            prompt_tokens=self._prompt_tokens,
            steps=self._steps,
            stalled_s=0.0 if began is None else time.monotonic() - began,
            device_bytes=self._device_bytes(),
        )

    def close(self) -> None:
        """Make `run` return after the current chunk of work."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()

    def run(self, emit: EmitEvents) -> None:
        """Work until `close`. A step that raises fails its requests; later ones continue."""
        try:
            while requests := self._ready():
                self._step_began = time.monotonic()
                try:
                    events = list(self._work.step(requests))
                except Exception as error:
                    logger.exception("a step of %d requests failed", len(requests))
                    info = engine_error(error).info
                    events = [(active.id, Failed(info)) for active in requests]
                self._step_began = None
                self._steps += 1
                if wanted := self._filter_events(events):
                    emit(wanted)
        finally:
            self._work.close()

    def _ready(self) -> list[ActiveRequest[R]]:
        """Wait for requests that have credit; none at the end."""
        while True:
            with self._changed:
                canceled = [active.id for active in self._requests.values() if active.is_canceled]
                for id in canceled:
                    del self._requests[id]
                ready = [active for active in self._requests.values() if active.credit > 0]
                if self._is_closed:
                    return []
                if not canceled and not ready:
                    self._changed.wait()
            for id in canceled:
                self._work.drop(id)
            if ready:
                return ready

    def _filter_events(self, events: Iterable[tuple[int, Event]]) -> list[tuple[int, Event]]:
        """Apply events to their requests; return those of requests that are still open."""
        wanted: list[tuple[int, Event]] = []
        ended: list[int] = []
        with self._changed:
            for id, event in events:
                active = self._requests.get(id)
                if active is None or active.is_canceled:
                    continue
                wanted.append((id, event))
                if not isinstance(event, CREDIT_FREE_EVENTS):
                    active.credit -= 1
                elif isinstance(event, Admitted):
                    active.is_admitted = True
                elif isinstance(event, Done | Failed):
                    self._prompt_tokens += event.usage.prompt_tokens
                    ended.append(id)
                    del self._requests[id]
        for id in ended:
            self._work.drop(id)
        return wanted


class GeneratorWork(Generic[R]):
    """Computes one chunk of each request in turn, so that a long one does not hold up others.

    `begin` returns a generator of a request's events: it yields the next event after each chunk of work, or None if the
    chunk had none, and `Done` last. It may raise errors for the caller. It is closed if the request is canceled.
    `end` frees the model.
    """

    def __init__(
        self, begin: Callable[[ActiveRequest[R]], Iterator[Event | None]], end: Callable[[], None] = lambda: None
    ) -> None:
        self._begin = begin
        self._end = end
        self._generators: dict[int, Iterator[Event | None]] = {}
        self._last = 0

    def step(self, requests: Sequence[ActiveRequest[R]]) -> Iterable[tuple[int, Event]]:
        """Compute one chunk of the request after the last one. Ids grow, so that is the one with the next larger id."""
        active = next((active for active in requests if active.id > self._last), requests[0])
        self._last = active.id
        events = self._generators.get(active.id)
        try:
            if events is None:
                events = self._generators[active.id] = self._begin(active)
            event = next(events, _MISSING_END)
        except Exception as error:
            if not isinstance(error, HomeportError):
                logger.exception("request %d failed", active.id)
            return [(active.id, Failed(engine_error(error).info))]
        return [] if event is None else [(active.id, event)]

    def drop(self, id: int) -> None:
        """Close a request's generator."""
        close = getattr(self._generators.pop(id, None), "close", None)
        if close:
            close()

    def close(self) -> None:
        """Free the model."""
        for id in list(self._generators):
            self.drop(id)
        self._end()


def engine_error(error: Exception) -> HomeportError:
    """Return the error that the caller receives for an exception: itself, or EngineFailed for an internal one."""
    if isinstance(error, HomeportError):
        return error
    return EngineFailed(f"The engine failed because of an internal error: {type(error).__name__}.")
