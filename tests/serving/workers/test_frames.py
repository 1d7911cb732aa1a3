"""Frames: cut anywhere, corrupt, too large."""

import socket
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.domain.errors import TooLarge
from homeport.domain.events import Delta, Done, Usage
from homeport.domain.models import Gauges
from homeport.domain.worker_messages import (
    Job,
    Ping,
    Pong,
    Step,
    Upstream,
)
from homeport.serving.workers.frames import (
    Channel,
    Launch,
    LinkBroken,
    Reader,
    pack,
)

MESSAGES: list[Upstream] = [
    Step(((1, Delta(0, "é")), (2, Done(Usage(1, 2, 3))))),
    Pong(Gauges(running=1)),
    Step(((3, Delta(1, "x" * 1000)),)),
]


@given(st.lists(st.integers(1, 200)))
def test_frames_cut_anywhere(cuts: list[int]) -> None:
    """However the bytes arrive, the same messages come out in order."""
    data = b"".join(pack(message, 10_000) for message in MESSAGES)
    reader: Reader[Upstream] = Reader(Upstream, 10_000)
    got: list[Upstream] = []
    for cut in cuts:
        piece, data = data[:cut], data[cut:]
        got += reader.feed(piece)
    assert got + reader.feed(data) == MESSAGES


@given(st.binary(min_size=1, max_size=300))
def test_noise_is_refused_or_waited_for(noise: bytes) -> None:
    """Any bytes either break the link, or are an unfinished frame; nothing else is raised."""
    reader: Reader[Upstream] = Reader(Upstream, 100)
    try:
        reader.feed(noise)
    except LinkBroken:
        return
    assert len(noise) < 4 or struct.unpack(">I", noise[:4])[0] <= 100


@pytest.mark.parametrize("length", [0, 101, 2**32 - 1])
def test_impossible_lengths(length: int) -> None:
    """A frame that claims nothing, or more than the limit, breaks the link before its body is awaited."""
    with pytest.raises(LinkBroken, match=str(length)):
        Reader(Upstream, 100).feed(struct.pack(">I", length))


def test_too_large_to_send() -> None:
    """A message over the limit is refused by its name, before a byte is sent."""
    with pytest.raises(TooLarge, match="Step"):
        pack(MESSAGES[2], 100)


def test_launch_crosses_with_its_paths() -> None:
    """A job's files arrive as paths, through the worker's blocking end."""
    job = Job("text", "m", {"weights": Path("/a/b.gguf")}, "d", {"window": 8, "library": None})
    ours, theirs = socket.socketpair()
    with ours, theirs:
        Channel(ours).send(Launch("a:b", job))
        assert Channel(theirs).receive(Reader(Launch, 10_000)) == Launch("a:b", job)


@pytest.mark.parametrize("sent", [b"", b"\0\0", struct.pack(">I", 50) + b"half"])
def test_end_in_the_middle(sent: bytes) -> None:
    """A link that ends, also within a frame, reads as the gateway's end."""
    ours, theirs = socket.socketpair()
    with theirs:
        with ours:
            ours.sendall(sent)
        assert Channel(theirs).receive(Reader(Ping, 100)) is None
