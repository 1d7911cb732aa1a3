"""The gateway's end of the link."""

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from homeport.domain.errors import PayloadTooLarge
from homeport.domain.models import EngineStats
from homeport.domain.worker_messages import (
    OpenRequest,
    Ping,
    Pong,
    WorkerCommand,
    WorkerReply,
)
from homeport.serving.workers.frames import FrameChannel, FrameReader, pack
from homeport.serving.workers.link import WorkerLink
from tests.serving.conftest import DEADLINE_S, prompt, until


class Ends:
    """A link, what it received, and the socket at its other end."""

    def __init__(self, link: WorkerLink, far: socket.socket, received: list[WorkerReply], lost: list[str]) -> None:
        self.link = link
        self.far = far
        self.received = received
        self.lost = lost


@pytest.fixture
async def ends() -> AsyncIterator[Ends]:
    """Yield a connected link with a limit of 1 MB."""
    ours, theirs = socket.socketpair()
    theirs.settimeout(DEADLINE_S)
    received: list[WorkerReply] = []
    lost: list[str] = []
    link = await WorkerLink.connect(ours, received.append, lost.append, 1_000_000)
    yield Ends(link, theirs, received, lost)
    link.close()
    theirs.close()
    await asyncio.sleep(0)


async def test_messages_both_ways(ends: Ends) -> None:
    """Messages arrive whole and in order on either side."""
    ends.link.send(Ping())
    ends.link.send(sent := OpenRequest(1, prompt("abc"), 1))
    reader: FrameReader[WorkerCommand] = FrameReader(WorkerCommand, 1_000_000)
    channel = FrameChannel(ends.far)
    assert await asyncio.to_thread(channel.receive, reader) == Ping()
    assert await asyncio.to_thread(channel.receive, reader) == sent
    channel.send(Pong(EngineStats(running=2)))
    await until(lambda: ends.received == [Pong(EngineStats(running=2))])


async def test_corrupt_frame_ends_the_link(ends: Ends) -> None:
    """Messages before a corrupt frame are received, the link is lost once, and the other side sees the end."""
    ends.far.sendall(pack(Pong(EngineStats()), 1000) + b"\0\0\0\3\xc1\xc1\xc1" + pack(Pong(EngineStats()), 1000))
    await until(lambda: ends.lost)
    assert "does not decode" in ends.lost[0]
    assert await asyncio.to_thread(ends.far.recv, 1) == b""
    assert len(ends.lost) == 1


async def test_other_side_ends(ends: Ends) -> None:
    """When the other side closes, the link is lost; later messages are dropped, and `drain` returns."""
    ends.far.close()
    await until(lambda: ends.lost)
    ends.link.send(Ping())
    async with asyncio.timeout(DEADLINE_S):
        await ends.link.drain()


async def test_close_is_silent(ends: Ends) -> None:
    """Closing a link from this side is not a loss."""
    ends.link.close()
    assert await asyncio.to_thread(ends.far.recv, 1) == b""
    assert ends.lost == []


async def test_backpressure(ends: Ends) -> None:
    """While the other side does not read, `drain` waits; it returns once it does."""
    ends.link.send(sent := OpenRequest(1, prompt("a" * 900_000), 1))
    draining = asyncio.create_task(ends.link.drain())
    done, _ = await asyncio.wait((draining,), timeout=0.1)
    assert not done
    reader: FrameReader[WorkerCommand] = FrameReader(WorkerCommand, 1_000_000)
    assert await asyncio.to_thread(FrameChannel(ends.far).receive, reader) == sent
    async with asyncio.timeout(DEADLINE_S):
        await draining


async def test_too_large(ends: Ends) -> None:
    """A message over the limit is refused, and the link still works."""
    with pytest.raises(PayloadTooLarge, match="Open"):
        ends.link.send(OpenRequest(1, prompt("a" * 1_000_001), 1))
    ends.link.send(Ping())
    reader: FrameReader[WorkerCommand] = FrameReader(WorkerCommand, 100)
    assert await asyncio.to_thread(FrameChannel(ends.far).receive, reader) == Ping()
