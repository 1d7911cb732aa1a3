"""Runs a text engine in a thread of the test, and collects its events by request."""

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import msgspec

from homeport.domain.errors import ErrorInfo
from homeport.domain.events import (
    Admitted,
    ChoiceFinished,
    Done,
    Event,
    Failed,
    ScoredToken,
    TextDelta,
    Usage,
)
from homeport.domain.ports.engine import Engine
from homeport.domain.text import TextRequest, TokenRequest
from homeport.domain.worker_messages import EngineSpec
from homeport.engines.text.engine import build_engine
from homeport.engines.text.options import TextOptions
from tests.engines.text.fake_executor import FakeOptions, build_fake

DEADLINE_S = 30.0
PLENTY = 1_000_000


@dataclass
class TextEvents:
    """The combined events of one request."""

    admitted: Admitted | None = None
    texts: dict[int, str] = field(default_factory=lambda: defaultdict(str))
    scored: dict[int, list[ScoredToken]] = field(default_factory=lambda: defaultdict(list))
    reasons: dict[int, str] = field(default_factory=dict)
    stops: dict[int, str] = field(default_factory=dict)
    usage: Usage | None = None
    error: ErrorInfo | None = None
    spent: Usage | None = None  # the usage before it failed
    deltas: int = 0

    @classmethod
    def of(cls, events: Sequence[Event]) -> Self:
        """Combine events; fails if their order violates the contract."""
        result = cls()
        for event in events:
            assert result.usage is None, f"{event} after Done"
            assert result.error is None, f"{event} after Failed"
            match event:
                case Admitted():
                    assert result.admitted is None, "admitted twice"
                    result.admitted = event
                case TextDelta(choice, text, scored):
                    assert result.admitted is not None, "a delta before Admitted"
                    assert choice not in result.reasons, "a delta after Finished"
                    result.texts[choice] += text
                    result.scored[choice] += scored
                    result.deltas += 1
                case ChoiceFinished(choice, reason, _, stop):
                    assert choice not in result.reasons, "finished twice"
                    result.reasons[choice], result.stops[choice] = reason, stop
                    result.texts.setdefault(choice, "")
                case Done(usage):
                    result.usage = usage
                case Failed(error, usage):
                    result.error, result.spent = error, usage
        return result

    @property
    def text(self) -> str:
        """The first choice's text."""
        return self.texts[0]


def fake_engine(model: str, **options: str | float | bool | None) -> Engine:
    """Build a text engine on the fake executor. `options` are the text engine's and those of FakeOptions."""
    fakes = {name: options.pop(name) for name in FakeOptions.__struct_fields__ if name in options}
    known = TextOptions.read(options)
    return build_engine(
        EngineSpec("text", model, {}, "", options), known, build_fake(known, msgspec.convert(fakes, FakeOptions))
    )


class TextEngineRunner:
    """Builds an engine on the fake executor (unless it receives one) and runs it until the block ends."""

    def __init__(self, engine: Engine | None = None, **options: str | float | bool | None) -> None:
        self.engine = engine or fake_engine("fake", **options)
        self.failure: BaseException | None = None
        self.calls: list[Sequence[tuple[int, Event]]] = []
        self._events: dict[int, list[Event]] = defaultdict(list)
        self._changed = threading.Condition()
        self._next_id = 0
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.engine.close()
        self._thread.join(DEADLINE_S)
        assert not self._thread.is_alive(), "the engine did not close"

    def open(self, request: TextRequest | TokenRequest, credit: int = PLENTY) -> int:
        """Send a request; returns its id."""
        self._next_id += 1
        self.engine.open(self._next_id, request, credit)
        return self._next_id

    def ask(self, request: TextRequest, credit: int = PLENTY) -> TextEvents:
        """Send a request and wait for its end."""
        return self.end(self.open(request, credit))

    def end(self, id: int) -> TextEvents:
        """Wait until a request has ended; return its events."""
        return TextEvents.of(self.wait(id, lambda events: bool(events) and isinstance(events[-1], Done | Failed)))

    def wait(self, id: int, holds: Callable[[list[Event]], bool]) -> list[Event]:
        """Wait until a condition holds for a request's events."""
        deadline = time.monotonic() + DEADLINE_S
        with self._changed:
            while not holds(self._events[id]):
                assert self._changed.wait(deadline - time.monotonic()), f"timed out; events so far: {self._events[id]}"
            return list(self._events[id])

    def wait_for_delta(self, id: int, n: int = 1) -> None:
        """Wait until a request has emitted `n` deltas."""
        self.wait(id, lambda events: sum(isinstance(event, TextDelta) for event in events) >= n)

    def events(self, id: int) -> list[Event]:
        """Return a request's events so far."""
        with self._changed:
            return list(self._events[id])

    def join(self) -> None:
        """Wait until the engine's thread has ended on its own."""
        self._thread.join(DEADLINE_S)
        assert not self._thread.is_alive(), "the engine still runs"

    def _run(self) -> None:
        try:
            self.engine.run(self._emit)
        except BaseException as error:  # tests check it afterwards
            self.failure = error

    def _emit(self, events: Sequence[tuple[int, Event]]) -> None:
        with self._changed:
            self.calls.append(tuple(events))
            for id, event in events:
                self._events[id].append(event)
            self._changed.notify_all()
