"""Frames: cut anywhere, corrupt, too large."""

import socket
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.domain.content import attach
from homeport.domain.errors import PayloadTooLarge
from homeport.domain.events import Done, TextDelta, Usage
from homeport.domain.models import EngineStats
from homeport.domain.worker_messages import (
    EngineSpec,
    Ping,
    Pong,
    StepEvents,
    WorkerReply,
)
from homeport.serving.workers.frames import (
    FrameChannel,
    FrameReader,
    LaunchMessage,
    LinkBroken,
    pack,
)

MESSAGES: list[WorkerReply] = [
    StepEvents(((1, TextDelta(0, "é")), (2, Done(Usage(1, 2, 3))))),
    Pong(EngineStats(running=1)),
    StepEvents(((3, TextDelta(1, "x" * 1000)),)),
]


@given(st.lists(st.integers(1, 200)))
def test_frames_cut_anywhere(cuts: list[int]) -> None:
    """However the bytes arrive, the same messages come out in order."""
    data = b"".join(pack(message, 10_000) for message in MESSAGES)
    reader: FrameReader[WorkerReply] = FrameReader(WorkerReply, 10_000)
    got: list[WorkerReply] = []
    for cut in cuts:
        piece, data = data[:cut], data[cut:]
        got += reader.feed(piece)
    assert got + reader.feed(data) == MESSAGES


@given(st.binary(min_size=1, max_size=300))
def test_noise_is_refused_or_waited_for(noise: bytes) -> None:
    """Any bytes either break the link, or are an unfinished frame; nothing else is raised."""
    reader: FrameReader[WorkerReply] = FrameReader(WorkerReply, 100)
    try:
        reader.feed(noise)
    except LinkBroken:
        return
    assert len(noise) < 4 or struct.unpack(">I", noise[:4])[0] <= 100


@pytest.mark.parametrize("length", [0, 101, 2**32 - 1])
def test_impossible_lengths(length: int) -> None:
    """A frame of length 0, or over the limit, breaks the link before its body is read."""
    with pytest.raises(LinkBroken, match=str(length)):
        FrameReader(WorkerReply, 100).feed(struct.pack(">I", length))


def test_too_large_to_send() -> None:
    """A message over the limit is refused by name, before a byte is sent."""
    with pytest.raises(PayloadTooLarge, match="Step"):
        pack(MESSAGES[2], 100)


def test_launch_crosses_with_its_paths() -> None:
    """A launch's files arrive as paths, through the worker's blocking end."""
    job = EngineSpec("text", "m", attach({"weights": Path("/a/b.gguf")}), "d", {"window": 8, "library": None})
    ours, theirs = socket.socketpair()
    with ours, theirs:
        FrameChannel(ours).send(LaunchMessage("a:b", job))
        assert FrameChannel(theirs).receive(FrameReader(LaunchMessage, 10_000)) == LaunchMessage("a:b", job)


@pytest.mark.parametrize("sent", [b"", b"\0\0", struct.pack(">I", 50) + b"half"])
def test_end_in_the_middle(sent: bytes) -> None:
    """A link that ends, even within a frame, reads as the gateway's end."""
    ours, theirs = socket.socketpair()
    with theirs:
        with ours:
            ours.sendall(sent)
        assert FrameChannel(theirs).receive(FrameReader(Ping, 100)) is None
