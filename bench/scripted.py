"""An engine without a model that generates one word per request and step, a hundred steps per second.

With real weights, a CPU generates too few tokens per second to measure the gateway. This program is the whole server
(`python -m bench.scripted serve --model NAME`) with only the text engine replaced; with `--without-usage` it also
discards usage, to measure the cost of writing it. With `--markdown` each answer is 10,000 tokens of Markdown, of
which all but the last 2,000 come at once.
"""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from itertools import repeat
from typing import cast

import msgspec

from bench import markdown_words
from homeport.domain.events import Admitted, ChoiceFinished, Done, Event, TextDelta, Usage
from homeport.domain.models import EngineStats, LoadedModel
from homeport.domain.ports.engine import EmitEvents, Engine
from homeport.domain.text import TextRequest
from homeport.domain.worker_messages import EngineRequest, EngineSpec
from homeport.serving.workers.engine_entry_points import ENGINES

STEPS_PER_S = 100
WITHOUT_USAGE = "--without-usage"
MARKDOWN = "--markdown"
LONG_TOKENS, SLOW_TOKENS = 10_000, 2000
_AT_ONCE = 100
"""The tokens per step of the part of a long answer that comes at once."""


class _Answer(msgspec.Struct):
    left: int
    credit: int
    words: Iterator[str]
    sent: int = 0


class ScriptedEngine:
    """An `Engine` that answers each request with as many words as it allows tokens.

    `words`: makes those of one answer. `tokens`: what a request allows that sets no limit. `slow`: at the end of an
    answer, this many come one per step; those before them, if there are more, come at once.
    """

    def __init__(
        self,
        job: EngineSpec,
        words: Callable[[], Iterator[str]] = lambda: repeat(" word"),
        tokens: int = 16,
        slow: int = sys.maxsize,
    ) -> None:
        self.loaded = LoadedModel(model=job.model, kernels="none: words by the clock", window=max(8192, 2 * tokens))
        self._words = words
        self._tokens = tokens
        self._slow = slow
        self._answers: dict[int, _Answer] = {}
        self._new: list[int] = []
        self._lock = threading.Lock()
        self._closed = threading.Event()

    def open(self, id: int, request: EngineRequest, credit: int) -> None:
        """Accept a request."""
        max_tokens = request.stopping.max_tokens if isinstance(request, TextRequest) else None
        with self._lock:
            self._answers[id] = _Answer(max_tokens or self._tokens, credit, self._words())
            self._new.append(id)

    def credit(self, id: int, n: int) -> None:
        """Allow `n` more words."""
        with self._lock:
            if id in self._answers:
                self._answers[id].credit += n

    def grant(self, id: int, n: int) -> None:
        """Ignore it: no request reports a low quota."""

    def cancel(self, id: int) -> None:
        """Drop a request."""
        with self._lock:
            self._answers.pop(id, None)

    def stats(self) -> EngineStats:
        """The number of running requests."""
        return EngineStats(running=len(self._answers))

    def run(self, emit: EmitEvents) -> None:
        """Step by the clock until closed: one frame per step, like a real engine."""
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
            for _ in range(min(answer.credit, _AT_ONCE if answer.left > self._slow else 1)):
                answer.credit -= 1
                answer.left -= 1
                answer.sent += 1
                events.append((id, TextDelta(0, next(answer.words))))
            if not answer.left:
                events += [(id, ChoiceFinished(0, "length")), (id, Done(Usage(1, answer.sent)))]
                del self._answers[id]
        return events


def load(job: EngineSpec) -> Engine:
    """Create the engine; there is nothing to load."""
    return ScriptedEngine(job)


def load_markdown(job: EngineSpec) -> Engine:
    """Create the engine of long answers."""
    return ScriptedEngine(job, markdown_words.tokens, LONG_TOKENS, SLOW_TOKENS)


def _discard(_: object, __: object) -> None:
    """Replaces `FileUsageLedger.write`."""


if __name__ == "__main__":
    from homeport.cli import (
        main,  # here, because the worker, which imports this module for its engine, does not need it
    )
    from homeport.store.usage_ledger import FileUsageLedger

    if WITHOUT_USAGE in sys.argv:
        sys.argv.remove(WITHOUT_USAGE)
        FileUsageLedger.write = _discard  # type: ignore[assignment]

    entry = "load"
    if MARKDOWN in sys.argv:
        sys.argv.remove(MARKDOWN)
        entry = "load_markdown"
    cast("dict[str, str]", ENGINES)["text"] = f"bench.scripted:{entry}"  # engines are registered by name
    main()
