"""A speech server for tests."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av

from tests.system.server import ServerProcess, running

MODEL = "kokoro-82m"


@contextmanager
def speaking(log: Path, **settings: str) -> Iterator[ServerProcess]:
    """Run a server with the speech model loaded, and all other installed models available."""
    with running(log, "--model", MODEL, **settings) as started:
        yield started


def seconds(data: bytes, format: str) -> float:
    """Return the duration of encoded audio, by decoding all of it."""
    if format == "pcm":
        return len(data) / 2 / 24_000
    with av.open(io.BytesIO(data), "r") as container:
        frames = list(container.decode(audio=0))
    return sum(frame.samples for frame in frames) / frames[0].sample_rate
