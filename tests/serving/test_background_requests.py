"""Background requests on worker processes: they pause while callers wait, and are preempted."""

import asyncio
from collections.abc import Awaitable, Callable

import msgspec
import pytest

from homeport.domain.errors import EngineFailed, HomeportError, Overloaded, Unavailable
from homeport.domain.events import TextDelta
from homeport.domain.ports.serving import RequestStream, Serving
from homeport.serving.background_requests import PREEMPTED_CODE, BackgroundRequests
from homeport.serving.idle_gate import IdleGatePolicy
from homeport.serving.options import ServingOptions
from homeport.serving.worker_serving import WorkerServing
from tests.serving.conftest import DEADLINE_S, QUICK, answer, prompt, scripted, until

Serve = Callable[..., Awaitable[WorkerServing]]
ServeEither = Callable[..., Awaitable[Serving]]


async def background(serving: Serving, text: str, name: str = "m", size_bytes: int = 0) -> RequestStream:
    stream = await serving.open(scripted(name, size_bytes), prompt(text), is_background=True)
    await stream.admitted()
    return stream


async def taken(stream: RequestStream, counted: list[int]) -> None:
    """Read a stream to its end, counting its deltas."""
    async for batch in stream:
        counted[0] += sum(isinstance(event, TextDelta) for event in batch)


async def standing(counted: list[int]) -> int:
    """Return the count once it no longer changes."""
    for _ in range(2000):
        before = counted[0]
        for _ in range(20):
            await asyncio.sleep(0.005)  # long enough for hundreds of steps of this engine
        if counted[0] == before:
            return before
    raise AssertionError("it never stood still")


async def test_it_pauses_while_a_caller_waits(serve_either: ServeEither) -> None:
    """Its deltas stop while a caller waits for its first event, and continue from there when that caller leaves."""
    serving = await serve_either()
    stream = await background(serving, "count 30000")
    counted = [0]
    reading = asyncio.create_task(taken(stream, counted))
    await until(lambda: counted[0] > 100)
    waiting = await serving.open(scripted(), prompt("wait"))
    await waiting.admitted()
    rested = await standing(counted)
    assert 100 < rested < 30_000
    await waiting.aclose()
    async with asyncio.timeout(DEADLINE_S):
        await reading
    assert counted == [30_000]


async def test_a_request_opened_while_a_caller_waits_starts_paused(serve_either: ServeEither) -> None:
    """A background request that is opened while a caller waits makes no delta until that caller leaves."""
    serving = await serve_either()
    waiting = await serving.open(scripted(), prompt("wait"))
    await waiting.admitted()
    stream = await serving.open(scripted(), prompt("count 3"), is_background=True)
    counted = [0]
    reading = asyncio.create_task(taken(stream, counted))
    assert await standing(counted) == 0
    await waiting.aclose()
    await reading
    assert counted == [3]


async def test_the_gate_opens_without_callers(serve_either: ServeEither) -> None:
    """`wait_open` returns at once without callers, and with one only after it leaves."""
    serving = await serve_either()
    await asyncio.wait_for(serving.idle_gate.wait_open(), 1)
    waiting = await serving.open(scripted(), prompt("wait"))
    opened = asyncio.create_task(serving.idle_gate.wait_open())
    await waiting.admitted()
    assert not opened.done()
    await waiting.aclose()
    await asyncio.wait_for(opened, DEADLINE_S)


async def test_long_answers_do_not_stop_it(serve: Serve) -> None:
    """Once a caller has the first event of its answer, background requests continue after a while."""
    serving = await serve()
    serving.background = BackgroundRequests(IdleGatePolicy(max_closed_s=0.2))
    caller = await serving.open(scripted(), prompt("count 100000"))
    stream = await background(serving, "count 5")
    counted = [0]
    async with asyncio.timeout(DEADLINE_S):
        await taken(stream, counted)
    assert counted == [5]
    await caller.aclose()


async def test_it_takes_no_place_of_callers(serve_either: ServeEither) -> None:
    """Background requests have a queue of their own."""
    serving = await serve_either(msgspec.structs.replace(QUICK, slots=1, max_queue=0))
    stream = await background(serving, "wait")
    assert await answer(serving, "count 2") == "1 2 "
    with pytest.raises(Overloaded):
        await serving.open(scripted(), prompt("count 1"), is_background=True)
    await stream.aclose()


async def test_it_is_preempted_for_memory(serve: Serve) -> None:
    """If memory is limited and a caller needs a model that is not loaded, background requests of others end."""
    options = ServingOptions(heartbeat_s=0.05, memory_bytes=150, room_patience_s=1.0, room_wait_s=20.0)
    serving = await serve(options)
    stream = await background(serving, "wait", "resting", 100)
    async with asyncio.timeout(DEADLINE_S):
        caller = await serving.open(scripted("wanted", 100), prompt("wait"))
        with pytest.raises(Unavailable) as ended:
            await taken(stream, [0])
    assert ended.value.code == PREEMPTED_CODE
    await caller.aclose()


async def test_a_failing_request_does_not_affect_others() -> None:
    """A background request that cannot be paused ends with an error; the others are paused, and resumed later."""
    background, clock = BackgroundRequests(), asyncio.get_running_loop()
    broken, sound = Fragile(is_broken=True), Fragile(is_broken=False)
    background.track(broken)
    background.track(sound)
    visit = background.add_foreground()
    assert (broken.is_over, sound.rests) == (True, True)
    visit.finish()
    end = clock.time() + DEADLINE_S
    while sound.rests:
        assert clock.time() < end
        await background.wait_open()
    background.close()


class Fragile:
    """A stream that may raise when it is paused."""

    def __init__(self, *, is_broken: bool) -> None:
        self.model = "m"
        self.is_over = self.rests = False
        self._is_broken = is_broken

    def pause(self) -> None:
        """Pause."""
        if self._is_broken:
            raise RuntimeError("broken")
        self.rests = True

    def resume(self) -> None:
        """Resume."""
        self.rests = False

    def fail(self, error: HomeportError, *, cancel: bool) -> None:
        """End."""
        assert isinstance(error, EngineFailed)
        assert cancel
        self.is_over = True
