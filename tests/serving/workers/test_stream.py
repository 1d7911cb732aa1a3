"""One request's events, pushed by hand."""

import asyncio

import pytest

from homeport.domain.errors import EngineFailed, Unavailable
from homeport.domain.events import (
    Admitted,
    ChoiceFinished,
    Done,
    Event,
    QuotaLow,
    TextDelta,
    Usage,
)
from homeport.serving.workers.stream import WorkerStream


class _Line:
    def __init__(self) -> None:
        self.credits: list[int] = []
        self.grants: list[int] = []
        self.left: list[bool] = []

    def credit(self, id: int, n: int) -> None:
        self.credits.append(n)

    def grant(self, id: int, n: int) -> None:
        self.grants.append(n)

    def forget_stream(self, id: int, *, cancel: bool) -> None:
        self.left.append(cancel)


def _stream(credit: int = 4) -> tuple[WorkerStream, _Line]:
    line = _Line()
    return WorkerStream(1, "tiny", line, credit, 1, lambda: None), line


async def test_a_cancelled_reader_may_wait_again() -> None:
    """A cancelled wait loses no event and does not prevent the next one from waking."""
    stream, _ = _stream()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await stream.admitted()
    reading = asyncio.create_task(stream.admitted())
    await asyncio.sleep(0)
    stream.push(Admitted(3))
    assert await reading == Admitted(3)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await anext(stream)
    stream.push(TextDelta(0, "a"))
    stream.push(TextDelta(0, "b"))
    assert await anext(stream) == [TextDelta(0, "a"), TextDelta(0, "b")]


async def test_more_quota_may_come_from_another_machine() -> None:
    """A quota that is awaited is granted when it is known, unless the request has ended; an error of it ends that."""
    loop = asyncio.get_running_loop()
    streams = [_stream() for _ in range(3)]
    answers = [loop.create_future() for _ in streams]
    for (stream, _), answer in zip(streams, answers, strict=True):
        stream.more = lambda _, __, answer=answer: answer
        stream.push(Admitted(3))
        stream.push(QuotaLow(5, 90))
    await asyncio.sleep(0)  # all of them wait
    assert all(line.grants == [] for _, line in streams)
    await streams[1][0].aclose()
    answers[0].set_result(7)
    answers[2].set_exception(Unavailable("The database is gone."))
    await asyncio.gather(*answers, return_exceptions=True)
    await asyncio.sleep(0)
    assert [line.grants for _, line in streams] == [[7], [], []]
    assert answers[1].cancelled()
    with pytest.raises(Unavailable, match="gone"):
        await anext(streams[2][0])


async def test_more_quota_is_requested_at_once() -> None:
    """A low quota is answered from the link, whether or not events are read, and is no event of the answer."""
    stream, line = _stream()
    asked: list[tuple[int, int]] = []

    def more(used: int, wanted: int) -> int:
        asked.append((used, wanted))
        return 7

    stream.more = more
    events: list[Event] = [Admitted(3), QuotaLow(5, 90), TextDelta(0, "a"), Done(Usage(1, 1))]
    for event in events:
        stream.push(event)
    assert (asked, line.grants) == ([(5, 90)], [7])
    assert await anext(stream) == [TextDelta(0, "a"), Done(Usage(1, 1))]


async def test_events_of_one_moment_wake_the_reader_once() -> None:
    """All events before the reader ran are one batch, the end included; then there is nothing more."""
    stream, line = _stream()
    batches: list[list[Event]] = []

    async def read() -> None:
        async for batch in stream:
            batches.append(list(batch))

    reading = asyncio.create_task(read())
    await asyncio.sleep(0)
    events: list[Event] = [TextDelta(0, "a"), ChoiceFinished(0, "stop"), Done(Usage(1, 1))]
    for event in events:
        stream.push(event)
    await asyncio.wait_for(reading, 10)
    assert batches == [events]
    assert line.left == [False]


async def test_a_failure_wakes_a_waiting_reader() -> None:
    """A worker that dies ends the wait with its error."""
    stream, line = _stream()
    reading = asyncio.create_task(anext(stream))
    await asyncio.sleep(0)
    stream.fail(EngineFailed("gone"), cancel=False)
    with pytest.raises(EngineFailed, match="gone"):
        await asyncio.wait_for(reading, 10)
    assert line.left == [False]


async def test_closing_wakes_a_waiting_reader() -> None:
    """A stream that is closed while it is read ends, and the worker is notified."""
    stream, line = _stream()
    reading = asyncio.create_task(anext(stream, None))
    await asyncio.sleep(0)
    await stream.aclose()
    assert await asyncio.wait_for(reading, 10) is None
    assert line.left == [True]


async def test_credit_is_returned_for_read_events() -> None:
    """Half of the credit is one message; the remainder is not lost."""
    stream, line = _stream(credit=4)
    for n in range(3):
        stream.push(TextDelta(0, str(n)))
        await anext(stream)
    assert line.credits == [2]
    stream.push(TextDelta(0, "3"))
    await anext(stream)
    assert line.credits == [2, 2]
