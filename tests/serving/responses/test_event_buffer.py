"""Events are written together, in order and each once, while more arrive."""

import asyncio
from collections.abc import Sequence

import pytest

from homeport.domain.responses import ResponseEvent
from homeport.serving.responses import event_buffer
from homeport.serving.responses.event_buffer import EventBuffer
from tests.serving.conftest import until


async def test_events_that_arrive_during_a_write_are_written_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first event is written at once, those that arrive meanwhile in the next write, and the last are returned."""
    monkeypatch.setattr(event_buffer, "_INTERVAL_S", 0.001)
    written: list[list[int]] = []
    free = asyncio.Event()

    async def write(events: Sequence[ResponseEvent]) -> None:
        written.append([event.number for event in events])
        await free.wait()

    buffer = EventBuffer(write)
    running = asyncio.create_task(buffer.run())
    await buffer.put(ResponseEvent(0, "t", "{}"))
    await until(lambda: written == [[0]])
    for number in (1, 2):
        await buffer.put(ResponseEvent(number, "t", "{}"))
    free.set()
    await until(lambda: len(written) == 2)
    free.clear()
    assert written == [[0], [1, 2]]
    await buffer.put(ResponseEvent(3, "t", "{}"))
    await until(lambda: len(written) == 3)
    await buffer.put(ResponseEvent(4, "t", "{}"))
    closing = asyncio.create_task(buffer.close(running))
    await asyncio.sleep(0)
    free.set()
    assert [event.number for event in await closing] == [4]
    assert written == [[0], [1, 2], [3]]


async def test_a_full_buffer_is_written_before_its_pause_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many events do not wait for the pause between two writes."""
    monkeypatch.setattr(event_buffer, "_INTERVAL_S", 3600.0)
    written: list[int] = []

    async def write(events: Sequence[ResponseEvent]) -> None:
        written.append(len(events))

    buffer = EventBuffer(write)
    running = asyncio.create_task(buffer.run())
    await buffer.put(ResponseEvent(0, "t", "{}"))
    await until(lambda: written == [1])
    for number in range(1, 65):
        await buffer.put(ResponseEvent(number, "t", "{}"))
    await until(lambda: written == [1, 64])
    assert await buffer.close(running) == ()
