"""The worker process alone, on a bare socket."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from typing import NamedTuple

import pytest

from homeport.domain.errors import EngineFailed
from homeport.domain.events import Failed
from homeport.domain.worker_messages import (
    EngineSpec,
    LoadFailed,
    ModelReady,
    OpenRequest,
    Ping,
    Pong,
    StepEvents,
    WorkerReply,
)
from homeport.serving.workers.child_process import ChildProcess, describe_exit
from homeport.serving.workers.frames import (
    MAX_REPLY_BYTES,
    FrameChannel,
    FrameReader,
    LaunchMessage,
)
from tests.serving.conftest import DEADLINE_S, prompt


class Bare(NamedTuple):
    """A worker process and the socket to it."""

    child: ChildProcess
    sock: socket.socket

    async def send(self, message: LaunchMessage | OpenRequest | Ping) -> None:
        """Send one message."""
        await asyncio.to_thread(FrameChannel(self.sock).send, message)

    async def receive(self) -> WorkerReply | None:
        """Wait for one message."""
        reader: FrameReader[WorkerReply] = FrameReader(WorkerReply, MAX_REPLY_BYTES)
        return await asyncio.to_thread(FrameChannel(self.sock).receive, reader)

    async def exit(self) -> str:
        """Wait until it has closed its socket; return how it ended."""
        while await asyncio.to_thread(self.sock.recv, 65536):
            pass
        return await self.child.end()


@pytest.fixture
async def bare() -> AsyncIterator[Bare]:
    """Yield a worker that has received nothing yet."""
    ours, theirs = socket.socketpair()
    ours.settimeout(DEADLINE_S)
    with ours:
        with theirs:
            child = await ChildProcess.spawn(theirs, "m")
        yield Bare(child, ours)
        await child.end()


def launch_message(entry: str = "tests.serving.scripted_engine:load") -> LaunchMessage:
    """Return a launch message of the scripted engine."""
    return LaunchMessage(entry, EngineSpec("scripted", "m", {}, "d", {}))


async def test_life(bare: Bare) -> None:
    """It sends ModelReady once, answers pings, works, and ends when the gateway closes the link."""
    await bare.send(launch_message())
    assert isinstance(await bare.receive(), ModelReady)
    await bare.send(Ping())
    assert isinstance(await bare.receive(), Pong)
    await bare.send(OpenRequest(5, prompt("wait"), 1))
    step = await bare.receive()
    assert isinstance(step, StepEvents)
    assert step.events[0][0] == 5
    bare.sock.shutdown(socket.SHUT_WR)
    assert await bare.exit() == "exit code 0"


@pytest.mark.parametrize("entry", ["tests.serving.nowhere:load", "tests.serving.scripted_engine:nothing", "", "a"])
async def test_wrong_entry_points(bare: Bare, entry: str) -> None:
    """An entry point that does not exist is LoadFailed, by name."""
    await bare.send(launch_message(entry))
    broken = await bare.receive()
    assert isinstance(broken, LoadFailed)
    assert broken.fault.kind == "Unavailable"
    assert f"({entry}) does not import" in broken.fault.message
    assert await bare.exit() == "exit code 3"


async def test_corrupt_frames_end_the_worker(bare: Bare) -> None:
    """A worker that receives invalid bytes ends, with an exit code of its own and the reason in its last output."""
    await bare.send(launch_message())
    assert isinstance(await bare.receive(), ModelReady)
    bare.sock.sendall(struct.pack(">I", 2**31))
    assert await bare.exit() == "exit code 4"
    assert any("LinkBroken" in line for line in bare.child.last_output)


async def test_the_end_of_the_link_ends_the_worker(bare: Bare) -> None:
    """A worker whose gateway closes the link ends, even in the middle of a load."""
    await bare.send(
        LaunchMessage("tests.serving.scripted_engine:load", EngineSpec("scripted", "m", {}, "d", {"load": "hang"}))
    )
    bare.sock.shutdown(socket.SHUT_WR)
    assert await bare.exit() == "exit code 0"


async def test_one_request_cannot_fail_another(bare: Bare) -> None:
    """An error that an engine raises when it takes a request ends only that request."""
    await bare.send(launch_message("tests.serving.scripted_engine:load_picky"))
    assert isinstance(await bare.receive(), ModelReady)
    await bare.send(OpenRequest(1, prompt("raise"), 1))
    step = await bare.receive()
    assert isinstance(step, StepEvents)
    ((id, event),) = step.events
    assert id == 1
    assert isinstance(event, Failed)
    assert event.fault.kind == EngineFailed.__name__
    await bare.send(Ping())
    assert isinstance(await bare.receive(), Pong)


def test_exits_as_text() -> None:
    """Exit codes and signals are distinguished, even unknown signals."""
    assert describe_exit(3) == "exit code 3"
    assert describe_exit(-6) == "SIGABRT"
    assert describe_exit(-250) == "signal 250"
