"""When a request is sent again, by hand-made streams."""

import asyncio
from collections.abc import Callable

import pytest

from homeport.cluster.messages import LINK_LOST, NOT_TAKEN, WORKER_LOST
from homeport.cluster.retrying_stream import RETRIES, RetryingStream
from homeport.domain.errors import EngineFailed, HomeportError, InvalidRequest, Unavailable
from homeport.domain.events import Admitted, Done, TextDelta, Usage
from homeport.serving.workers.stream import WorkerStream
from tests.serving.conftest import DEADLINE_S, until


class Replicas:
    """Opens streams one after another, while `gate` is set. `refusals` are raised instead, first of all."""

    def __init__(self, *refusals: HomeportError) -> None:
        self.refusals = list(refusals)
        self.streams: list[WorkerStream] = []
        self.ends = 0
        self.retried: list[str] = []
        self.is_open = True
        self.gate = asyncio.Event()
        self.gate.set()
        self.stream = RetryingStream("m", self._open, self._on_end, lambda: self.is_open, self.retried.append)

    async def _open(self, on_end: Callable[[], None]) -> WorkerStream:
        await self.gate.wait()
        if self.refusals:
            on_end()
            raise self.refusals.pop(0)
        self.streams.append(stream := WorkerStream(1, "m", self, 8, 1, on_end))
        return stream

    def _on_end(self) -> None:
        self.ends += 1

    def credit(self, id: int, n: int) -> None:
        """Ignore credit."""

    def grant(self, id: int, n: int) -> None:
        """Ignore quota."""

    def forget_stream(self, id: int, *, cancel: bool) -> None:
        """Ignore ends."""


def lost(code: str = LINK_LOST) -> EngineFailed:
    """Return the error of a lost replica."""
    return EngineFailed("lost", code=code)


async def test_a_lost_request_is_sent_again() -> None:
    """A request that is lost before or after it was admitted is sent again, and ends once."""
    replicas = Replicas()
    await replicas.stream.open()
    replicas.streams[0].fail(lost(), cancel=False)
    admitting = asyncio.create_task(replicas.stream.admitted())
    await until(lambda: len(replicas.streams) == 2)
    replicas.streams[1].push(Admitted(1))
    assert await admitting == Admitted(1)
    replicas.streams[1].fail(lost(WORKER_LOST), cancel=False)
    reading = asyncio.create_task(anext(replicas.stream))
    await until(lambda: len(replicas.streams) == 3)
    replicas.streams[2].push(Admitted(2))
    replicas.streams[2].push(TextDelta(0, "a"))
    assert await asyncio.wait_for(reading, DEADLINE_S) == [TextDelta(0, "a")]
    assert replicas.ends == 0
    replicas.streams[2].push(Done(Usage(1, 1)))
    assert (replicas.ends, replicas.retried) == (1, [LINK_LOST, WORKER_LOST])
    assert await anext(replicas.stream) == [Done(Usage(1, 1))]
    await replicas.stream.aclose()
    assert replicas.ends == 1


async def test_nothing_is_sent_again_after_an_event() -> None:
    """Once an event was read, a loss is the end; the place is free before the reader learns of it."""
    replicas = Replicas()
    await replicas.stream.open()
    replicas.streams[0].push(TextDelta(0, "a"))
    assert await anext(replicas.stream) == [TextDelta(0, "a")]
    replicas.streams[0].fail(lost(), cancel=False)
    assert replicas.ends == 1
    with pytest.raises(EngineFailed, match="lost") as caught:
        await anext(replicas.stream)
    assert caught.value.code is None
    assert len(replicas.streams) == 1


async def test_events_before_a_loss_are_delivered() -> None:
    """Events that arrived before the loss are read, and then it is the end, and the place is free."""
    replicas = Replicas()
    await replicas.stream.open()
    replicas.streams[0].push(TextDelta(0, "a"))
    replicas.streams[0].fail(lost(), cancel=False)
    assert await anext(replicas.stream) == [TextDelta(0, "a")]
    with pytest.raises(EngineFailed, match="lost"):
        await anext(replicas.stream)
    assert replicas.ends == 1


@pytest.mark.parametrize("code", [WORKER_LOST, LINK_LOST, NOT_TAKEN])
async def test_retries_are_bounded(code: str) -> None:
    """A request is sent again a limited number of times, and then its error is the caller's, without the code."""
    replicas = Replicas(*[lost(code)] * (RETRIES[code] + 1))
    with pytest.raises(EngineFailed) as caught:
        await replicas.stream.open()
    assert caught.value.code is None
    assert (replicas.refusals, replicas.streams, replicas.ends) == ([], [], 1)


@pytest.mark.parametrize("error", [InvalidRequest("no"), Unavailable("no"), EngineFailed("no")])
async def test_errors_of_the_request_are_not_retried(error: HomeportError) -> None:
    """An error that another replica would repeat is raised as it is."""
    replicas = Replicas()
    await replicas.stream.open()
    replicas.streams[0].fail(error, cancel=False)
    assert replicas.ends == 1
    with pytest.raises(type(error)) as caught:
        await replicas.stream.admitted()
    assert caught.value is error
    assert len(replicas.streams) == 1


async def test_nothing_is_sent_again_by_a_closed_server() -> None:
    """A server that has closed, and a stream that was closed, send nothing."""
    replicas = Replicas()
    await replicas.stream.open()
    replicas.is_open = False
    replicas.streams[0].fail(lost(), cancel=False)
    assert replicas.ends == 1
    with pytest.raises(EngineFailed, match="lost"):
        await replicas.stream.admitted()
    other = Replicas()
    await other.stream.open()
    await other.stream.aclose()
    await other.stream.aclose()
    assert [batch async for batch in other.stream] == []
    assert (other.ends, len(other.streams)) == (1, 1)


async def test_a_cancelled_retry_is_tried_again() -> None:
    """A reader that is cancelled while the request is sent again loses nothing: the next reader sends it."""
    replicas = Replicas()
    await replicas.stream.open()
    for _ in range(2):
        replicas.gate.clear()
        replicas.streams[-1].fail(lost(), cancel=False)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await replicas.stream.admitted()
    assert replicas.ends == 0
    replicas.gate.set()
    reading = asyncio.create_task(replicas.stream.admitted())
    await until(lambda: len(replicas.streams) == 2)
    replicas.streams[1].push(Admitted(1))
    assert await reading == Admitted(1)


async def test_a_loss_that_nobody_reads_holds_its_place_until_closed() -> None:
    """A lost request keeps its place for the retry, and frees it if its reader closes instead."""
    replicas = Replicas()
    await replicas.stream.open()
    replicas.streams[0].fail(lost(), cancel=False)
    assert replicas.ends == 0
    await replicas.stream.aclose()
    assert replicas.ends == 1
