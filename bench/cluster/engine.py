"""An engine that sleeps: each step takes a fixed time and makes one word of as many answers as it has slots.

Several replicas on one machine are then as fast as on machines of their own. Knows nothing of prompts.
"""

import threading
import time

import msgspec

from homeport.domain.events import Admitted, ChoiceFinished, Done, Event, TextDelta, Usage
from homeport.domain.models import EngineStats, LoadedModel
from homeport.domain.ports.engine import EmitEvents
from homeport.domain.text import TextRequest
from homeport.domain.worker_messages import EngineRequest, EngineSpec

_TOKENS = 16


class _Answer(msgspec.Struct):
    left: int
    credit: int
    sent: int = 0
    is_admitted: bool = False


class SleepingEngine:
    """A `domain.ports.engine.Engine`. Options: `slots`, the answers of a step, and `step_s`, its time."""

    def __init__(self, spec: EngineSpec) -> None:
        self.loaded = LoadedModel(model=spec.model, kernels="none: it sleeps", window=8192)
        self._slots = int(spec.options.get("slots") or 16)
        self._step_s = float(spec.options.get("step_s") or 0.01)
        self._answers: dict[int, _Answer] = {}
        self._changed = threading.Condition()
        self._is_closed = False

    def open(self, id: int, request: EngineRequest, credit: int) -> None:
        """Accept a request."""
        tokens = request.stopping.max_tokens if isinstance(request, TextRequest) else None
        with self._changed:
            self._answers[id] = _Answer(tokens or _TOKENS, credit)
            self._changed.notify()

    def credit(self, id: int, n: int) -> None:
        """Allow `n` more words."""
        with self._changed:
            if id in self._answers:
                self._answers[id].credit += n
            self._changed.notify()

    def grant(self, id: int, n: int) -> None:
        """Ignore it: no request reports a low quota."""

    def cancel(self, id: int) -> None:
        """Drop a request."""
        with self._changed:
            self._answers.pop(id, None)

    def stats(self) -> EngineStats:
        """The number of running requests."""
        return EngineStats(running=len(self._answers))

    def run(self, emit: EmitEvents) -> None:
        """Step until closed: one frame per step, and a pause after it."""
        while not self._is_closed:
            with self._changed:
                self._changed.wait_for(lambda: self._is_closed or self._has_work())
                events = self._step()
            emit(events)
            time.sleep(self._step_s)

    def close(self) -> None:
        """Make `run` return."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()

    def _has_work(self) -> bool:
        return any(not answer.is_admitted or answer.credit for answer in self._answers.values())

    def _step(self) -> list[tuple[int, Event]]:
        events: list[tuple[int, Event]] = []
        for id, answer in self._answers.items():
            if not answer.is_admitted:
                answer.is_admitted = True
                events.append((id, Admitted(1, (1,))))
        running = [(id, answer) for id, answer in self._answers.items() if answer.credit][: self._slots]
        for id, answer in running:
            answer.credit -= 1
            answer.left -= 1
            answer.sent += 1
            events.append((id, TextDelta(0, " word")))
            if not answer.left:
                events += [(id, ChoiceFinished(0, "length")), (id, Done(Usage(1, answer.sent)))]
                del self._answers[id]
        return events


def load(spec: EngineSpec) -> SleepingEngine:
    """Create the engine; there is nothing to load."""
    return SleepingEngine(spec)
