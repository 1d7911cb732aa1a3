"""The text engine under traffic: those who leave, steps that break, and many at once."""

import random
import threading
from collections.abc import Sequence

import pytest

from homeport.domain.errors import EngineFailed
from homeport.domain.events import Event, TextDelta, Usage
from homeport.domain.text import (
    SamplingParams,
    StoppingCriteria,
    TextPrompt,
    TextRequest,
)
from homeport.engines.text.engine import TextEngine
from homeport.engines.text.executor import ExecutorTraits, Logits, TokenBatch
from homeport.engines.text.options import TextOptions
from tests.engines.text.engine_runner import DEADLINE_S, TextEngineRunner
from tests.engines.text.fake_executor import FakeExecutor
from tests.engines.text.simulation import traits

LONG = "All work and no play makes Jack a dull boy. " * 8


class SteppedExecutor(FakeExecutor):
    """A fake executor whose steps the test lets through one by one, and may break."""

    def __init__(self, held: ExecutorTraits) -> None:
        super().__init__(held)
        self.entered = threading.Semaphore(0)
        self.permits = threading.Semaphore(0)
        self.is_open = False
        self.breaks: Exception | None = None

    def forward(self, batch: TokenBatch) -> Logits:
        """Wait for the test, then compute or break."""
        self.entered.release()
        if not self.is_open:
            assert self.permits.acquire(timeout=DEADLINE_S), "the test never let this step through"
        if self.breaks is not None:
            error, self.breaks = self.breaks, None
            raise error
        return super().forward(batch)

    def let_through(self, steps: int) -> None:
        """Let so many steps through, and wait until the engine stands before the next."""
        for _ in range(steps):
            self.permits.release()
            assert self.entered.acquire(timeout=DEADLINE_S), "no further step was begun"

    def open_up(self) -> None:
        """Hold up no step any more."""
        self.is_open = True
        self.permits.release()


def _gated(held: ExecutorTraits | None = None) -> tuple[SteppedExecutor, TextEngine]:
    gate = SteppedExecutor(held or traits(window=1024, cells=1024, batch=64))
    return gate, TextEngine("fake", gate, TextOptions())


def _request(prompt: str, *, n: int = 1, max_tokens: int = 40, seed: int = 1, echo: bool = False) -> TextRequest:
    ending = StoppingCriteria(max_tokens=max_tokens, ignore_eos=True)
    logprobs = 1 if echo else None
    return TextRequest((TextPrompt(prompt),), SamplingParams(seed=seed), ending, n, n, logprobs, echo)


@pytest.mark.parametrize("echo", [False, True])
@pytest.mark.parametrize("steps", [0, 1, 4, 7, 20])
def test_who_leaves_is_gone_by_the_next_step(steps: int, echo: bool) -> None:
    """Cancelled before its first step, in prefill, scoring or decoding, a request is in no later batch nor event."""
    gate, engine = _gated()
    with TextEngineRunner(engine) as running:
        leaver = running.open(_request(LONG, n=2, echo=echo))
        assert gate.entered.acquire(timeout=DEADLINE_S)
        gate.let_through(steps)
        engine.cancel(leaver)
        engine.cancel(leaver)  # twice is once
        engine.cancel(999)
        said = len(running.events(leaver))
        gate.open_up()
        assert running.ask(_request("probe", max_tokens=1)).usage is not None
        now = engine.stats()
        assert (now.running, now.waiting, now.cells_used) == (0, 0, 0)
        assert len(running.events(leaver)) <= said + 3  # the step under way, nothing more


def test_who_leaves_while_waiting_or_stalled_is_forgotten() -> None:
    """Cancelled without credit, or while others hold the only sequence, a request leaves nothing behind."""
    with TextEngineRunner(sequences=1) as running:
        stalled = running.open(_request("stalled"), credit=2)
        running.wait_for_delta(stalled, 2)
        waiting = running.open(_request("waiting"), credit=0)
        for id in (stalled, waiting):
            running.engine.cancel(id)
            running.engine.credit(id, 100)
        assert running.ask(_request("probe")).usage is not None
        now = running.engine.stats()
        assert (now.running, now.waiting, now.cells_used) == (0, 0, 0)
        assert sum(isinstance(event, TextDelta) for event in running.events(stalled)) == 2


def test_who_leaves_before_the_engine_runs_is_never_admitted() -> None:
    """A request opened and cancelled before the engine's threads start is not even prepared."""
    running = TextEngineRunner()
    gone = running.open(_request("gone"))
    running.engine.cancel(gone)
    with running:
        assert running.ask(_request("probe", max_tokens=1)).usage is not None
        assert running.events(gone) == []
        assert running.engine.stats().prompt_tokens == 1 + len("probe")


def test_an_open_id_is_taken_once() -> None:
    """A second request under a number in use is ignored."""
    with TextEngineRunner() as running:
        id = running.open(_request("one"), credit=1)
        running.wait_for_delta(id)
        running.engine.open(id, _request("two"), 100)
        running.engine.credit(id, 100)
        assert running.end(id).fault is None


def test_a_broken_step_ends_its_requests_only() -> None:
    """A poisoned prompt fails with what was spent; the engine goes on and its cells are free again."""
    with TextEngineRunner(poison="bad") as running:
        said = running.ask(_request("this is bad"))
        assert said.fault is not None
        assert said.fault.kind == "EngineFailed"
        assert running.ask(_request("this is good")).fault is None
        assert running.engine.stats().cells_used == 0
        assert running.failure is None


def test_failure_in_the_middle_tells_what_was_spent() -> None:
    """After three tokens a step fails: Failed carries the prompt and those tokens."""
    gate, engine = _gated()
    with TextEngineRunner(engine) as running:
        id = running.open(_request("abc"))
        assert gate.entered.acquire(timeout=DEADLINE_S)
        gate.let_through(3)
        gate.breaks = EngineFailed("the kernels gave up")
        gate.open_up()
        failed = running.end(id)
    assert failed.fault is not None
    assert failed.fault.message == "the kernels gave up"
    assert failed.spent == Usage(4, 3)


def test_a_bug_ends_every_request_and_the_engine() -> None:
    """An error nobody foresaw fails all open requests, also waiting ones, and comes out of `run`."""
    gate, engine = _gated(traits(sequences=1))
    with TextEngineRunner(engine) as running:
        ids = [running.open(_request(prompt)) for prompt in ("one", "two")]
        assert gate.entered.acquire(timeout=DEADLINE_S)
        gate.breaks = ZeroDivisionError("a bug")
        gate.open_up()
        faults = [running.end(id).fault for id in ids]
        running.join()
    assert [fault.kind for fault in faults if fault] == ["EngineFailed", "EngineFailed"]
    assert isinstance(running.failure, ZeroDivisionError)


def test_a_stuck_step_shows_in_the_gauges() -> None:
    """While a step hangs, `stalled_s` grows; between steps it is zero."""
    gate, engine = _gated()
    with TextEngineRunner(engine) as running:
        id = running.open(_request("abc", max_tokens=2))
        assert gate.entered.acquire(timeout=DEADLINE_S)
        first = engine.stats().stalled_s
        assert engine.stats().stalled_s > first > 0
        gate.open_up()
        running.end(id)
        running.engine.close()
        running.join()
        assert engine.stats().stalled_s == 0


def test_an_idle_engine_does_not_work() -> None:
    """With nothing to do, or nothing but readers that do not read, no step is counted and nothing is said."""
    with TextEngineRunner() as running:
        stalled = running.open(_request("abc"), credit=1)
        running.wait_for_delta(stalled)
        running.ask(_request("probe", max_tokens=1))
        steps, calls = running.engine.stats().steps, len(running.calls)
        running.engine.credit(777, 5)  # unknown: not even a reason to wake up
        assert (running.engine.stats().steps, len(running.calls)) == (steps, calls)


def _traffic(rng: random.Random, n: int) -> Sequence[TextRequest]:
    trunks = ["Once upon a time ", "In the beginning ", "Call me Ishmael. "]
    requests = []
    for index in range(n):
        candidates = rng.choice((1, 1, 1, 2, 3))
        echo = rng.random() < 0.15
        requests.append(
            TextRequest(
                prompts=tuple(
                    TextPrompt(rng.choice(trunks) + str(rng.randrange(20))) for _ in range(rng.choice((1, 1, 2)))
                ),
                sampling=SamplingParams(temperature=rng.choice((0.0, 1.0)), seed=index % 50),
                stopping=StoppingCriteria(max_tokens=rng.choice((1, 3, 5, 24)), stop=rng.choice(((), ("e",)))),
                n=1 if candidates == 3 else candidates,
                best_of=candidates,
                logprobs=rng.choice((None, None, 2)),
                echo=echo,
                project=rng.choice(("a", "b")),
            )
        )
    return requests


def test_two_thousand_mixed_requests_in_tight_memory() -> None:
    """All end as the same requests do alone, a tenth leaves early, and nothing is left behind."""
    rng = random.Random(20)
    requests = _traffic(rng, 2000)
    leaves = {index for index in range(len(requests)) if rng.random() < 0.1}
    with TextEngineRunner(window=128, cells=200, sequences=12, batch=64, prefill_slice=16) as crowd:
        ids = [crowd.open(request) for request in requests]
        for index in leaves:
            crowd.engine.cancel(ids[index])
        said = {index: crowd.end(id) for index, id in enumerate(ids) if index not in leaves}
        crowd.ask(_request("probe", max_tokens=1))
        now = crowd.engine.stats()
        assert crowd.failure is None
    assert (now.running, now.waiting, now.cells_used) == (0, 0, 0)
    assert now.preemptions > 0
    with TextEngineRunner(window=128, cells=4096, retain=0) as alone:
        for index in rng.sample(sorted(said), 150):
            expected = alone.ask(requests[index])
            assert said[index].texts == expected.texts
            assert said[index].reasons == expected.reasons
            assert said[index].scored == expected.scored


def test_events_of_one_step_travel_together() -> None:
    """Sixteen streams that decode side by side cost one call per step, not one per token."""
    with TextEngineRunner(sequences=16) as running:
        ids = [running.open(_request(f"{index} go", max_tokens=30)) for index in range(16)]
        for id in ids:
            running.end(id)
        assert len(running.calls) < 16 * 30 / 4
    deltas: list[Event] = [event for call in running.calls for _, event in call if isinstance(event, TextDelta)]
    assert len(deltas) > 16 * 20
