"""What engines share that work in turns: the queue, credit, cancelling, gauges and the loop around them.

An engine provides an `EngineWork`; the simplest is `GeneratorWork`, one generator of events per request. Threads:
`run` owns the one
that works; everything else may be called from any thread and returns at once. Knows nothing of any kind of request.
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

_MISSING_END = Failed(EngineFailed("The engine gave no end to its answer.").info)


@dataclass(eq=False, slots=True)
class ActiveRequest(Generic[R]):
    """One open request. `is_cancelled` may turn true at any moment: look at it between chunks of work."""

    id: int
    request: R
    credit: int
    is_cancelled: bool = False
    is_admitted: bool = False


class EngineWork(Protocol[R]):
    """What an engine does with its open turns. Called from the working thread alone."""

    def step(self, requests: Sequence[ActiveRequest[R]]) -> Iterable[tuple[int, Event]]:
        """Do one chunk of work, a second or so at most, and give the events it brought, each with its turn's id.

        `turns`: all that are open and have credit, oldest first, at least one. It must bring at least one of them
        nearer to its end. A turn's first event is `Admitted`, its last `Done` or `Failed`.
        """
        ...

    def drop(self, id: int) -> None:
        """Forget a turn: it is done, failed or cancelled. Called once for each, also where no step had seen it."""
        ...

    def close(self) -> None:
        """Free the model."""
        ...


class RoundRobinEngine(Generic[R]):
    """An engine around a `EngineWork`. Fulfils `domain.ports.Engine`; `kind` is the struct of its requests."""

    def __init__(self, loaded: LoadedModel, kind: type[R], work: EngineWork[R]) -> None:
        self._loaded = loaded
        self._kind = kind
        self._work = work
        self._changed = threading.Condition()
        self._turns: dict[int, ActiveRequest[R]] = {}  # in order of arrival
        self._is_closed = False
        self._steps = 0
        self._prompt_tokens = 0
        self._step_began: float | None = None

    @property
    def loaded(self) -> LoadedModel:
        """Facts about the loaded model."""
        return self._loaded

    def open(self, id: int, request: EngineRequest, credit: int) -> None:
        """Take a request; an id that is under way is ignored. Raises InvalidRequest for one of another kind."""
        if not isinstance(request, self._kind):
            raise InvalidRequest(f"{self._loaded.model} cannot be used for this.", param="model")
        with self._changed:
            if id not in self._turns:
                self._turns[id] = ActiveRequest(id, request, credit)
                self._changed.notify()

    def credit(self, id: int, n: int) -> None:
        """Allow `n` more events."""
        with self._changed:
            if turn := self._turns.get(id):
                turn.credit += n
                self._changed.notify()

    def grant(self, id: int, n: int) -> None:
        """These requests have no quota: ignored."""

    def cancel(self, id: int) -> None:
        """Drop a request; what it holds is free after the chunk of work under way."""
        with self._changed:
            if turn := self._turns.get(id):
                turn.is_cancelled = True
                self._changed.notify()

    def stats(self) -> EngineStats:
        """How it stands now. A request is running once it was admitted."""
        with self._changed:
            running = sum(turn.is_admitted for turn in self._turns.values())
            waiting = len(self._turns) - running
        began = self._step_began
        return EngineStats(
            running=running,
            waiting=waiting,
            prompt_tokens=self._prompt_tokens,
            steps=self._steps,
            stalled_s=0.0 if began is None else time.monotonic() - began,
        )

    def close(self) -> None:
        """Make `run` return after the chunk of work under way."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()

    def run(self, emit: EmitEvents) -> None:
        """Work until `close`. A step that breaks fails the turns it was given; the next ones are worked on."""
        try:
            while turns := self._ready():
                self._step_began = time.monotonic()
                try:
                    told = list(self._work.step(turns))
                except Exception as error:
                    logger.exception("a step of %d requests failed", len(turns))
                    fault = _fault(error)
                    told = [(turn.id, Failed(fault.info)) for turn in turns]
                self._step_began = None
                self._steps += 1
                if kept := self._filter_events(told):
                    emit(kept)
        finally:
            self._work.close()

    def _ready(self) -> list[ActiveRequest[R]]:
        """Wait for turns that can be worked on; none at the end."""
        while True:
            with self._changed:
                gone = [turn.id for turn in self._turns.values() if turn.is_cancelled]
                for id in gone:
                    del self._turns[id]
                ready = [turn for turn in self._turns.values() if turn.credit > 0]
                if self._is_closed:
                    return []
                if not gone and not ready:
                    self._changed.wait()
            for id in gone:
                self._work.drop(id)
            if ready:
                return ready

    def _filter_events(self, told: Iterable[tuple[int, Event]]) -> list[tuple[int, Event]]:
        """Keep the books; give the events that somebody still waits for."""
        kept: list[tuple[int, Event]] = []
        ended: list[int] = []
        with self._changed:
            for id, event in told:
                turn = self._turns.get(id)
                if turn is None or turn.is_cancelled:
                    continue
                kept.append((id, event))
                if not isinstance(event, CREDIT_FREE_EVENTS):
                    turn.credit -= 1
                elif isinstance(event, Admitted):
                    turn.is_admitted = True
                elif isinstance(event, Done | Failed):
                    self._prompt_tokens += event.usage.prompt_tokens
                    ended.append(id)
                    del self._turns[id]
        for id in ended:
            self._work.drop(id)
        return kept


class GeneratorWork(Generic[R]):
    """Work on turns one chunk each, in rounds, so that a long one holds no other up.

    `begin` makes a turn's events: a generator that gives the next one after each chunk of work, or None where a chunk
    brought none, `Done` last. It may raise what the caller is to be told. It is closed when nobody waits any more.
    `end` frees the model.
    """

    def __init__(
        self, begin: Callable[[ActiveRequest[R]], Iterator[Event | None]], end: Callable[[], None] = lambda: None
    ) -> None:
        self._begin = begin
        self._end = end
        self._under_way: dict[int, Iterator[Event | None]] = {}
        self._last = 0

    def step(self, requests: Sequence[ActiveRequest[R]]) -> Iterable[tuple[int, Event]]:
        """One chunk of the turn after the one that had the last. Ids grow, so that is the next larger one."""
        turn = next((turn for turn in requests if turn.id > self._last), requests[0])
        self._last = turn.id
        events = self._under_way.get(turn.id)
        try:
            if events is None:
                events = self._under_way[turn.id] = self._begin(turn)
            event = next(events, _MISSING_END)
        except Exception as error:
            if not isinstance(error, HomeportError):
                logger.exception("request %d failed", turn.id)
            return [(turn.id, Failed(_fault(error).info))]
        return [] if event is None else [(turn.id, event)]

    def drop(self, id: int) -> None:
        """Close a turn's generator."""
        close = getattr(self._under_way.pop(id, None), "close", None)
        if close:
            close()

    def close(self) -> None:
        """Free the model."""
        for id in list(self._under_way):
            self.drop(id)
        self._end()


def _fault(error: Exception) -> HomeportError:
    if isinstance(error, HomeportError):
        return error
    return EngineFailed(f"The engine broke down because of an internal error: {type(error).__name__}.")
