"""`python -m bench.music`: how long the bundled music model takes for 30 seconds of music, without and with lyrics.

Loads the engine in this process, from the installed models. Prints for each piece the time to the first sound and to
the last, in wall time and in processor time of all threads, and with --log appends it to bench/LOG.md. Loading the
voices is part of the first song.
"""

import argparse
import time
from typing import NamedTuple

from bench import log, machine, model_home
from homeport.domain.content import attach
from homeport.domain.events import AudioChunk, MusicFinished
from homeport.domain.music import MusicRequest
from homeport.domain.worker_messages import EngineSpec
from homeport.engines.music.engine import MusicGenerator, build_generator
from homeport.engines.round_robin import ActiveRequest
from homeport.settings import load

MODEL = "homeport-tunes"
SONG = """The morning sun is rising slowly
Over hills of green and gold
All the birds begin their singing
Stories that were never told"""
PIECES = {
    "instruments, first": MusicRequest("a jig", 7, 600.0, 30.0),
    "instruments": MusicRequest("a slow waltz", 8, 600.0, 30.0),
    "song, first": MusicRequest("a ballad", 7, 600.0, 30.0, lyrics=SONG),
    "song": MusicRequest("a lullaby", 8, 600.0, 30.0, lyrics=SONG),
}


class MusicRun(NamedTuple):
    """One piece: times in seconds to its first sound and its end, processor time, and the music's length."""

    first_s: float
    whole_s: float
    processor_s: float
    music_s: float


def measure(generator: MusicGenerator, request: MusicRequest) -> MusicRun:
    """Make one piece."""
    wall, processor, first_s, music_s = time.perf_counter(), time.process_time(), 0.0, 0.0
    for event in generator.make(ActiveRequest(1, request, 1)):
        if isinstance(event, AudioChunk):
            first_s = first_s or time.perf_counter() - wall
        elif isinstance(event, MusicFinished):
            music_s = event.seconds
    return MusicRun(first_s, time.perf_counter() - wall, time.process_time() - processor, music_s)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--log", action="store_true", help="append the table to bench/LOG.md")
    options = parser.parse_args()
    threads = options.threads
    spec = EngineSpec("music", MODEL, attach(model_home.files(load().home, MODEL)), "", {"threads": threads})
    generator, _ = build_generator(spec)
    lines = [
        f"### {machine.heading(MODEL, threads, 'none', 'in this process')}",
        "",
        "| piece | first sound s | whole s | processor s | music s |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, request in PIECES.items():
        run = measure(generator, request)
        lines.append(f"| {name} | {run.first_s:.2f} | {run.whole_s:.2f} | {run.processor_s:.2f} | {run.music_s:.1f} |")
    print("\n".join(lines))
    if options.log:
        log.append(lines)


if __name__ == "__main__":
    main()
