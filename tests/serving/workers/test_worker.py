"""The worker process by itself, on a bare socket."""

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

    async def say(self, message: LaunchMessage | OpenRequest | Ping) -> None:
        """Send one message."""
        await asyncio.to_thread(FrameChannel(self.sock).send, message)

    async def hear(self) -> WorkerReply | None:
        """Wait for one message."""
        reader: FrameReader[WorkerReply] = FrameReader(WorkerReply, MAX_REPLY_BYTES)
        return await asyncio.to_thread(FrameChannel(self.sock).receive, reader)

    async def exit(self) -> str:
        """Wait until it has closed its socket, then say how it ended."""
        while await asyncio.to_thread(self.sock.recv, 65536):
            pass
        return await self.child.end()


@pytest.fixture
async def bare() -> AsyncIterator[Bare]:
    """A worker that was told nothing yet."""
    ours, theirs = socket.socketpair()
    ours.settimeout(DEADLINE_S)
    with ours:
        with theirs:
            child = await ChildProcess.spawn(theirs, "m")
        yield Bare(child, ours)
        await child.end()


def order(entry: str = "tests.serving.scripted_engine:load") -> LaunchMessage:
    """How the scripted engine is launched."""
    return LaunchMessage(entry, EngineSpec("scripted", "m", {}, "d", {}))


async def test_life(bare: Bare) -> None:
    """It says Ready once, answers pings, works, and ends when the gateway hangs up."""
    await bare.say(order())
    assert isinstance(await bare.hear(), ModelReady)
    await bare.say(Ping())
    assert isinstance(await bare.hear(), Pong)
    await bare.say(OpenRequest(5, prompt("wait"), 1))
    step = await bare.hear()
    assert isinstance(step, StepEvents)
    assert step.events[0][0] == 5
    bare.sock.shutdown(socket.SHUT_WR)
    assert await bare.exit() == "exit code 0"


@pytest.mark.parametrize("entry", ["tests.serving.nowhere:load", "tests.serving.scripted_engine:nothing", "", "a"])
async def test_wrong_entry_points(bare: Bare, entry: str) -> None:
    """An entry point that does not exist is Broken, by name."""
    await bare.say(order(entry))
    broken = await bare.hear()
    assert isinstance(broken, LoadFailed)
    assert broken.fault.kind == "Unavailable"
    assert f"({entry}) does not import" in broken.fault.message
    assert await bare.exit() == "exit code 3"


async def test_corrupt_frames_end_it(bare: Bare) -> None:
    """A worker that hears nonsense ends, with an exit code of its own and the reason in its last words."""
    await bare.say(order())
    assert isinstance(await bare.hear(), ModelReady)
    bare.sock.sendall(struct.pack(">I", 2**31))
    assert await bare.exit() == "exit code 4"
    assert any("LinkBroken" in line for line in bare.child.last_output)


async def test_end_of_link_ends_it(bare: Bare) -> None:
    """A worker whose gateway hangs up ends by itself, also in the middle of a load."""
    await bare.say(
        LaunchMessage("tests.serving.scripted_engine:load", EngineSpec("scripted", "m", {}, "d", {"load": "hang"}))
    )
    bare.sock.shutdown(socket.SHUT_WR)
    assert await bare.exit() == "exit code 0"


async def test_one_request_cannot_fail_another(bare: Bare) -> None:
    """An error that an engine raises while it takes a request ends that request."""
    await bare.say(order("tests.serving.scripted_engine:load_picky"))
    assert isinstance(await bare.hear(), ModelReady)
    await bare.say(OpenRequest(1, prompt("raise"), 1))
    step = await bare.hear()
    assert isinstance(step, StepEvents)
    ((id, event),) = step.events
    assert id == 1
    assert isinstance(event, Failed)
    assert event.fault.kind == EngineFailed.__name__
    await bare.say(Ping())
    assert isinstance(await bare.hear(), Pong)


def test_ends_in_words() -> None:
    """Exit codes and signals are told apart, also signals nobody named."""
    assert describe_exit(3) == "exit code 3"
    assert describe_exit(-6) == "SIGABRT"
    assert describe_exit(-250) == "signal 250"
