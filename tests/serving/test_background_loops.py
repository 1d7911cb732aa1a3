"""Background loops, which continue whatever their steps raise."""

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest

from homeport.domain.errors import Unavailable
from homeport.serving.background_loops import BackgroundLoops
from tests.serving.conftest import until


@pytest.fixture
async def loops() -> AsyncIterator[BackgroundLoops]:
    made = BackgroundLoops(first_s=0.0, limit_s=0.0)
    yield made
    await made.stop()


class Steps:
    """Steps that raise what is in `errors`, one after another, and then succeed."""

    def __init__(self, *errors: BaseException) -> None:
        self.errors = list(errors)
        self.taken = 0

    async def __call__(self) -> None:
        """Run one."""
        self.taken += 1
        if self.errors:
            raise self.errors.pop(0)


@pytest.mark.parametrize(
    "error", [Unavailable("away"), OSError(24, "Too many open files"), TypeError("?"), RecursionError("deep")]
)
async def test_a_loop_survives_whatever_its_step_raises(
    loops: BackgroundLoops, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    """An expected error or a bug: the next step runs, and the log has the traceback and the loop's name."""
    steps = Steps(error)
    task = loops.start("keys", steps, 0.0)
    await until(lambda: steps.taken >= 3)
    assert not task.done()
    [said] = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert "`keys`" in said.getMessage()
    assert str(error) in said.getMessage()
    assert said.exc_info


async def test_a_loop_may_have_a_longest_pause() -> None:
    """A loop with a longest pause retries within it, however often it has failed."""
    loops, steps = BackgroundLoops(first_s=3600.0, limit_s=3600.0), Steps(*[Unavailable("away")] * 5)
    task = asyncio.create_task(loops.run("leases", steps, 0.0, max_pause_s=0.001))
    await until(lambda: steps.taken > 5)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_cancelled_part_of_a_step_does_not_end_the_loop(loops: BackgroundLoops) -> None:
    """If a step waits for a task that is cancelled, the loop runs the next step."""
    steps = Steps(asyncio.CancelledError())
    task = loops.start("keys", steps, 0.0)
    await until(lambda: steps.taken >= 2)
    assert not task.done()


async def test_a_failing_loop_is_named_until_it_succeeds(loops: BackgroundLoops) -> None:
    """`failing` names a loop from its first failure to its next success; `failures` keeps counting."""
    fail = asyncio.Event()
    fail.set()

    async def step() -> None:
        if fail.is_set():
            raise Unavailable("away")

    loops.start("keys", step, 0.001)
    loops.start("usage", Steps(), 0.001)
    await until(lambda: loops.failures().get("keys", 0) >= 2)
    assert loops.failing() == ["keys"]
    assert loops.failing(for_s=3600) == []
    fail.clear()
    await until(lambda: not loops.failing())
    assert loops.failures()["keys"] >= 2
    assert loops.failures()["usage"] == 0


async def test_a_failure_that_stays_the_same_has_one_trace(
    loops: BackgroundLoops, caplog: pytest.LogCaptureFixture
) -> None:
    """Every failure is a line in the log, and only a new kind of it brings a traceback."""
    steps = Steps(Unavailable("away"), Unavailable("away"), Unavailable("gone"))
    loops.start("keys", steps, 0.0)
    await until(lambda: steps.taken >= 4)
    said = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert [bool(record.exc_info) for record in said] == [True, False, True]


async def test_stop_ends_every_loop(loops: BackgroundLoops) -> None:
    """After `stop` no loop runs, and none is reported as failing."""
    steps = Steps(*(Unavailable("away") for _ in range(1000)))
    task = loops.start("keys", steps, 0.0)
    await until(lambda: steps.taken >= 2)
    await loops.stop()
    assert task.done()
    assert loops.failing() == []
