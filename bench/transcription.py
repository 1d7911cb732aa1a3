"""`python -m bench.transcription`: our whole server against bare faster-whisper, same weights, same files, one run.

Bare: the library in this process, with our engine's settings, including decoding of the file. Sides alternate, so that
drift of the machine affects both alike; cells are medians of seconds of audio per second. Texts are compared, too.
Prints a table and, with --log, appends it to bench/LOG.md.
"""

import argparse
import http.client
import io
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import faster_whisper
import msgspec
import numpy as np

from bench import (
    log,
    machine,
    model_home,
    servers,
)
from bench.load import Address
from homeport.engines.transcription.chinese_script import converter_to
from homeport.settings import load
from tests.api.form_bodies import HEADERS, form
from tests.samples.audio_samples import (
    CHINESE,
    ENGLISH,
    RATE_HZ,
    STORY,
    Samples,
    encoded,
    errors,
    silence,
    spoken,
)

MODEL = "whisper-base"
TARGET = 0.9
_TEMPERATURES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)

Transcribe = Callable[[bytes, "Work"], str]


class Work(msgspec.Struct, frozen=True):
    """A recording, sent by `callers` at once."""

    name: str
    text: str = ENGLISH
    language: str = "en"
    repeats: int = 1
    pause_s: float = 0.0
    ending: str = "wav"
    callers: int = 1
    words: bool = False

    def audio(self) -> Samples:
        """The recording, repeated if necessary.

        A short text that repeats many times looks wrong to Whisper, which then computes it six times.
        """
        return np.concatenate([spoken(self.text, self.language), silence(self.pause_s)] * self.repeats)


WORKS = (
    Work("two sentences"),
    Work("two sentences in Chinese", CHINESE, "zh"),
    Work("half a minute", STORY, ending="mp3"),
    Work("half a minute, times of words", STORY, ending="mp3", words=True),
    Work("two minutes with pauses", STORY, repeats=3, pause_s=10.0, ending="mp3"),
    Work("six minutes on end", STORY, repeats=10, ending="mp3"),
    Work("two sentences, 4 callers", callers=4),
)


def bare(weights: Path, threads: int) -> Transcribe:
    """The bare library."""
    model = faster_whisper.WhisperModel(
        str(weights.parent), device="cpu", compute_type="int8", cpu_threads=threads, local_files_only=True
    )

    def transcribe(file: bytes, work: Work) -> str:
        found, _ = model.transcribe(
            io.BytesIO(file),
            language=work.language,
            temperature=_TEMPERATURES,
            word_timestamps=work.words,
            vad_filter=True,
        )
        return converter_to("simplified")("".join(segment.text for segment in found))  # as our engine does

    return transcribe


def over_http(address: Address) -> Transcribe:
    """Our server, with requests like those of the SDKs."""

    def transcribe(file: bytes, work: Work) -> str:
        fields = [("model", address.model), ("language", work.language), ("response_format", "verbose_json")]
        fields += [("timestamp_granularities[]", "word")] if work.words else []
        with closing(http.client.HTTPConnection(address.host, address.port, timeout=3600)) as line:
            line.request("POST", "/v1/audio/transcriptions", form(fields, [("file", file)]), HEADERS)
            answer = line.getresponse()
            body = answer.read()
        if answer.status != 200:
            raise RuntimeError(body)
        return str(msgspec.json.decode(body)["text"])

    return transcribe


def _timed(transcribe: Transcribe, file: bytes, work: Work) -> tuple[float, str]:
    """The time until all callers have their answers, and the text of one."""
    start = time.perf_counter()
    with ThreadPoolExecutor(work.callers) as pool:
        texts = list(pool.map(lambda _: transcribe(file, work), range(work.callers)))
    return time.perf_counter() - start, texts[0]


def _in_turn(transcribe: Transcribe, file: bytes, work: Work) -> tuple[float, str]:
    """The same, one request after another, because the library has no concurrent callers."""
    start = time.perf_counter()
    texts = [transcribe(file, work) for _ in range(work.callers)]
    return time.perf_counter() - start, texts[0]


def _row(work: Work, ours: Transcribe, theirs: Transcribe, rounds: int) -> str:
    audio = work.audio()
    file = encoded(audio, work.ending)
    seconds = len(audio) / RATE_HZ * work.callers
    speeds: tuple[list[float], list[float]] = ([], [])
    difference = 0.0
    for turn in range(rounds):
        texts = ["", ""]
        for side in (0, 1) if turn % 2 == 0 else (1, 0):
            took_s, texts[side] = _in_turn(theirs, file, work) if side else _timed(ours, file, work)
            speeds[side].append(seconds / took_s)
        difference = max(difference, errors(texts[1], texts[0]))
    our_speed, their_speed = map(statistics.median, speeds)
    met = "met" if our_speed / their_speed >= TARGET else "not met"
    cells = (
        work.name,
        f"{seconds:.0f}",
        f"{our_speed:.2f}",
        f"{their_speed:.2f}",
        f"{our_speed / their_speed:.2f}",
        met,
        f"{difference:.1%}",
    )
    return f"| {' | '.join(cells)} |"


def _heading(rounds: int, threads: int) -> list[str]:
    return [
        f"### {machine.heading(MODEL, threads, 'faster-whisper', machine.rounds(rounds))}",
        "",
        f"| recording | s of audio | ours, x real time | bare | ours / bare | ≥ {TARGET} | words that differ |",
        "|---|---|---|---|---|---|---|",
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", nargs="*", help="names of recordings")
    parser.add_argument("--log", action="store_true", help="append the table to bench/LOG.md")
    options = parser.parse_args(arguments)
    works = [work for work in WORKS if not options.only or work.name in options.only]
    lines = _heading(options.rounds, options.threads)
    print("\n".join(lines), flush=True)
    theirs = bare(model_home.weights(load().home, MODEL), options.threads)
    with servers.homeport(MODEL, {"THREADS": str(options.threads)}) as served:
        ours = over_http(served.address)
        for transcribe in (ours, theirs):
            transcribe(encoded(WORKS[0].audio()), WORKS[0])  # warm-up
        for work in works:
            lines.append(_row(work, ours, theirs, options.rounds))
            print(lines[-1], flush=True)
    if options.log:
        log.append(lines)


if __name__ == "__main__":
    main()
