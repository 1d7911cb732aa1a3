"""The text engine under load: canceled requests, failing steps, and many requests at once."""

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
from tests.conftest import Scale
from tests.engines.text.engine_runner import DEADLINE_S, TextEngineRunner
from tests.engines.text.fake_executor import FakeExecutor
from tests.engines.text.simulation import traits

LONG = "All work and no play makes Jack a dull boy. " * 8


class SteppedExecutor(FakeExecutor):
    """A fake executor whose steps the test permits one by one, and may make fail."""

    def __init__(self, executor_traits: ExecutorTraits) -> None:
        super().__init__(executor_traits)
        self.entered = threading.Semaphore(0)
        self.permits = threading.Semaphore(0)
        self.is_open = False
        self.breaks: Exception | None = None

    def forward(self, batch: TokenBatch) -> Logits:
        """Wait for the test, then compute or raise."""
        self.entered.release()
        if not self.is_open:
            assert self.permits.acquire(timeout=DEADLINE_S), "the test never permitted this step"
        if self.breaks is not None:
            error, self.breaks = self.breaks, None
            raise error
        return super().forward(batch)

    def permit(self, steps: int) -> None:
        """Permit this many steps, and wait until the engine is about to start the next."""
        for _ in range(steps):
            self.permits.release()
            assert self.entered.acquire(timeout=DEADLINE_S), "no further step was started"

    def permit_all(self) -> None:
        """Permit all further steps."""
        self.is_open = True
        self.permits.release()


def _gated(executor_traits: ExecutorTraits | None = None) -> tuple[SteppedExecutor, TextEngine]:
    gate = SteppedExecutor(executor_traits or traits(window=1024, cells=1024, batch=64))
    return gate, TextEngine("fake", gate, TextOptions())


def _request(prompt: str, *, n: int = 1, max_tokens: int = 40, seed: int = 1, echo: bool = False) -> TextRequest:
    ending = StoppingCriteria(max_tokens=max_tokens, ignore_eos=True)
    logprobs = 1 if echo else None
    return TextRequest((TextPrompt(prompt),), SamplingParams(seed=seed), ending, n, n, logprobs, echo)


@pytest.mark.parametrize("echo", [False, True])
@pytest.mark.parametrize("steps", [0, 1, 4, 7, 20])
def test_a_canceled_request_is_gone_by_the_next_step(steps: int, echo: bool) -> None:
    """Canceled before its first step, in prefill, while scoring or decoding, a request has no later batch or event."""
    gate, engine = _gated()
    with TextEngineRunner(engine) as running:
        canceled = running.open(_request(LONG, n=2, echo=echo))
        assert gate.entered.acquire(timeout=DEADLINE_S)
        gate.permit(steps)
        engine.cancel(canceled)
        engine.cancel(canceled)  # no effect the second time
        engine.cancel(999)
        result = len(running.events(canceled))
        gate.permit_all()
        assert running.ask(_request("probe", max_tokens=1)).usage is not None
        now = engine.stats()
        assert (now.running, now.waiting, now.cells_used) == (0, 0, 0)
        assert len(running.events(canceled)) <= result + 3  # at most those of the current step


def test_canceled_waiting_and_stalled_requests_leave_nothing() -> None:
    """Canceled without credit, or while others hold the only sequence, a request leaves nothing behind."""
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


def test_a_request_canceled_before_the_start_is_never_admitted() -> None:
    """A request opened and canceled before the engine's threads start is not even prepared."""
    running = TextEngineRunner()
    canceled = running.open(_request("canceled"))
    running.engine.cancel(canceled)
    with running:
        assert running.ask(_request("probe", max_tokens=1)).usage is not None
        assert running.events(canceled) == []
        assert running.engine.stats().prompt_tokens == 1 + len("probe")


def test_an_open_id_is_accepted_once() -> None:
    """A second request with an id in use is ignored."""
    with TextEngineRunner() as running:
        id = running.open(_request("one"), credit=1)
        running.wait_for_delta(id)
        running.engine.open(id, _request("two"), 100)
        running.engine.credit(id, 100)
        assert running.end(id).error is None


def test_a_failed_step_ends_its_requests_only() -> None:
    """A poisoned prompt fails; the engine continues and its cells are free again."""
    with TextEngineRunner(poison="bad") as running:
        result = running.ask(_request("this is bad"))
        assert result.error is not None
        assert result.error.kind == "EngineFailed"
        assert running.ask(_request("this is good")).error is None
        assert running.engine.stats().cells_used == 0
        assert running.failure is None


def test_a_failure_reports_the_usage() -> None:
    """If a step fails after three tokens, Failed reports the prompt's and these tokens."""
    gate, engine = _gated()
    with TextEngineRunner(engine) as running:
        id = running.open(_request("abc"))
        assert gate.entered.acquire(timeout=DEADLINE_S)
        gate.permit(3)
        gate.breaks = EngineFailed("the kernels gave up")
        gate.permit_all()
        failed = running.end(id)
    assert failed.error is not None
    assert failed.error.message == "the kernels gave up"
    assert failed.spent == Usage(4, 3)


def test_a_bug_ends_every_request_and_the_engine() -> None:
    """An unexpected error fails all open requests, also waiting ones, and is raised by `run`."""
    gate, engine = _gated(traits(sequences=1))
    with TextEngineRunner(engine) as running:
        ids = [running.open(_request(prompt)) for prompt in ("one", "two")]
        assert gate.entered.acquire(timeout=DEADLINE_S)
        gate.breaks = ZeroDivisionError("a bug")
        gate.permit_all()
        errors = [running.end(id).error for id in ids]
        running.join()
    assert [error.kind for error in errors if error] == ["EngineFailed", "EngineFailed"]
    assert isinstance(running.failure, ZeroDivisionError)


def test_a_hanging_step_shows_in_the_stats() -> None:
    """While a step hangs, `stalled_s` grows; between steps it is zero."""
    gate, engine = _gated()
    with TextEngineRunner(engine) as running:
        id = running.open(_request("abc", max_tokens=2))
        assert gate.entered.acquire(timeout=DEADLINE_S)
        first = engine.stats().stalled_s
        assert engine.stats().stalled_s > first > 0
        gate.permit_all()
        running.end(id)
        running.engine.close()
        running.join()
        assert engine.stats().stalled_s == 0


def test_an_idle_engine_does_not_work() -> None:
    """Without requests, or with paused ones only, no step is counted and no event is emitted."""
    with TextEngineRunner() as running:
        stalled = running.open(_request("abc"), credit=1)
        running.wait_for_delta(stalled)
        running.ask(_request("probe", max_tokens=1))
        steps, calls = running.engine.stats().steps, len(running.calls)
        running.engine.credit(777, 5)  # an unknown id does not wake it up
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


def test_mixed_requests_in_tight_memory(scale: Scale) -> None:
    """All answers equal those of the same requests alone, a tenth is canceled early, and nothing is left behind."""
    rng = random.Random(20)
    requests = _traffic(rng, scale(600, 2000))
    canceled_indices = {index for index in range(len(requests)) if rng.random() < 0.1}
    with TextEngineRunner(window=128, cells=200, sequences=12, batch=64, prefill_slice=16) as crowd:
        ids = [crowd.open(request) for request in requests]
        for index in canceled_indices:
            crowd.engine.cancel(ids[index])
        result = {index: crowd.end(id) for index, id in enumerate(ids) if index not in canceled_indices}
        crowd.ask(_request("probe", max_tokens=1))
        now = crowd.engine.stats()
        assert crowd.failure is None
    assert (now.running, now.waiting, now.cells_used) == (0, 0, 0)
    assert now.preemptions > 0
    with TextEngineRunner(window=128, cells=4096, retain=0) as alone:
        for index in rng.sample(sorted(result), 60):
            expected = alone.ask(requests[index])
            assert result[index].texts == expected.texts
            assert result[index].reasons == expected.reasons
            assert result[index].scored == expected.scored


def test_events_of_one_step_travel_together() -> None:
    """Sixteen concurrent streams cost one call per step, not one per token."""
    with TextEngineRunner(sequences=16) as running:
        ids = [running.open(_request(f"{index} go", max_tokens=30)) for index in range(16)]
        for id in ids:
            running.end(id)
        assert len(running.calls) < 16 * 30 / 4
    deltas: list[Event] = [event for call in running.calls for _, event in call if isinstance(event, TextDelta)]
    assert len(deltas) > 16 * 20
