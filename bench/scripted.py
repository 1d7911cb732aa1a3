"""An engine without a model that says a word a step to every request, a hundred times a second.

Real weights on a CPU give too few tokens per second to see what the gateway costs. This program is the whole server
(`python -m bench.scripted serve --model NAME`) with only the engine of that model replaced; after `--without-usage` it
also forgets what was used, to see what writing it down costs.
"""

import sys
import threading
import time
from typing import cast

import msgspec

from homeport.domain.events import (
    Admitted,
    ChoiceFinished,
    Done,
    Event,
    TextDelta,
    Usage,
)
from homeport.domain.models import EngineStats, LoadedModel
from homeport.domain.ports.engine import EmitEvents
from homeport.domain.text import TextRequest
from homeport.domain.worker_messages import EngineRequest, EngineSpec
from homeport.serving.workers.engine_table import ENGINES

STEPS_PER_S = 100
WITHOUT_USAGE = "--without-usage"


class _Answer(msgspec.Struct):
    left: int
    credit: int
    said: int = 0


class ScriptedEngine:
    """A `domain.ports.Engine` that answers every request with as many words as it asks tokens for."""

    def __init__(self, job: EngineSpec) -> None:
        self.loaded = LoadedModel(model=job.model, kernels="none: words by the clock", window=8192)
        self._answers: dict[int, _Answer] = {}
        self._new: list[int] = []
        self._lock = threading.Lock()
        self._closed = threading.Event()

    def open(self, id: int, request: EngineRequest, credit: int) -> None:
        """Take a request."""
        wanted = request.stopping.max_tokens if isinstance(request, TextRequest) else None
        with self._lock:
            self._answers[id] = _Answer(wanted or 16, credit)
            self._new.append(id)

    def credit(self, id: int, n: int) -> None:
        """Allow more words."""
        with self._lock:
            if id in self._answers:
                self._answers[id].credit += n

    def cancel(self, id: int) -> None:
        """Drop a request."""
        with self._lock:
            self._answers.pop(id, None)

    def gauges(self) -> EngineStats:
        """How it stands."""
        return EngineStats(running=len(self._answers))

    def run(self, emit: EmitEvents) -> None:
        """Step by the clock until closed: one frame a step, as a real engine sends."""
        due = time.monotonic()
        while not self._closed.wait(max(0.0, due - time.monotonic())):
            due = max(due + 1 / STEPS_PER_S, time.monotonic())
            with self._lock:
                events = self._step()
            emit(events)

    def close(self) -> None:
        """Make `run` return."""
        self._closed.set()

    def _step(self) -> list[tuple[int, Event]]:
        events: list[tuple[int, Event]] = [(id, Admitted(1, (1,))) for id in self._new if id in self._answers]
        self._new.clear()
        for id, answer in list(self._answers.items()):
            if not answer.credit:
                continue
            answer.credit -= 1
            answer.left -= 1
            answer.said += 1
            events.append((id, TextDelta(0, " word")))
            if not answer.left:
                events += [(id, ChoiceFinished(0, "length")), (id, Done(Usage(1, answer.said)))]
                del self._answers[id]
        return events


def load(job: EngineSpec) -> ScriptedEngine:
    """Load it: there is nothing to load."""
    return ScriptedEngine(job)


def _forget(_: object, __: object) -> None:
    """What takes the place of `FileUsageLedger.write`."""


if __name__ == "__main__":
    from homeport.cli import main  # here, as the worker that imports this module for its engine has no use for it
    from homeport.store.usage_ledger import FileUsageLedger

    if WITHOUT_USAGE in sys.argv:
        sys.argv.remove(WITHOUT_USAGE)
        FileUsageLedger.write = _forget  # type: ignore[assignment]

    cast("dict[str, str]", ENGINES)["text"] = "bench.scripted:load"  # by name, as every engine is known
    main()
