"""`python -m bench.moderation`: moderation over HTTP against the bare libraries on the same input, in one run.

The bare side calls llama.cpp's kernels, the toxicity model and the classifier head on the same windows of the same
text, without server, worker or queue. Sides alternate, so that drift of the machine affects both alike. Prints a table
and, with --log, appends it to bench/LOG.md.
"""

import argparse
import json
import statistics
import time
import urllib.request
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from bench import (
    log,
    machine,
    model_home,
    servers,
)
from homeport.engines.llama import encoder
from homeport.engines.moderation import head
from homeport.engines.moderation.engine import FeatureExtractor, Window
from homeport.engines.moderation.toxicity_model import ToxicityModel
from homeport.settings import load

MODEL = "homeport-moderation"
SENTENCES = {
    "English": "The committee met on Tuesday to discuss the budget of the harbour and repairs of the northern pier. ",
    "Chinese": "委员会周二开会，讨论港口的预算和北码头的修理工作，会议持续了三个小时。",
}
TOKENS = 512
TARGET_MS = 200.0
"""The target for the 95th percentile."""


def _text(sentence: str, reader: FeatureExtractor) -> str:
    """Repeat a sentence, each time with another number, up to the number of tokens."""
    text = ""
    number = 0
    while reader.count(text) < TOKENS:
        number += 1
        text += f"{number}. {sentence}"
    while reader.count(text) > TOKENS:
        text = text[:-1]
    return text


def _timed(work: Callable[[], object], repeats: int) -> list[float]:
    """The milliseconds of each of `repeats` runs."""
    found = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        found.append((time.perf_counter() - start) * 1e3)
    return found


def _bare(reader: FeatureExtractor, trained: head.ClassifierHead, windows: Sequence[Window]) -> None:
    for chunk in reader.chunks(windows):
        trained.judge(reader.features(chunk), [window.text for window in chunk])


def _request(url: str, body: bytes) -> None:
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})  # noqa: S310 - http on loopback
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - the same
        answer.read()


def _row(name: str, ours: list[float], bare: list[float]) -> str:
    def at(found: list[float], hundredth: int) -> float:
        return statistics.quantiles(found, n=100, method="inclusive")[hundredth - 1]

    ratio = statistics.median(bare) / statistics.median(ours)
    cells = [name, f"{at(ours, 50):.0f}", f"{at(ours, 95):.0f}", f"{at(bare, 50):.0f}", f"{at(bare, 95):.0f}"]
    cells += [f"{ratio:.2f}", f"{1e3 * TOKENS / statistics.median(ours):.0f}"]
    cells += ["yes" if at(ours, 95) < TARGET_MS else "no"]
    return "| " + " | ".join(cells) + " |"


def _measure(kernels: str, library: Path | None, rounds: int, threads: int) -> list[str]:
    home = load().home
    vectors = encoder.load(
        model_home.weights(home, "multilingual-e5-small"), encoder.EncoderOptions(threads=threads, library=library)
    )
    reader, trained = FeatureExtractor(vectors, ToxicityModel(model_home.weights(home, MODEL))), head.load_built_in()
    settings = {"THREADS": str(threads), "OFFLINE": "1", "LLAMA_LIB": str(library or servers.wheel_kernels())}
    rows = []
    with servers.homeport(MODEL, settings) as served:
        url = f"http://{served.address.host}:{served.address.port}/v1/moderations"
        for language, sentence in SENTENCES.items():
            text = _text(sentence, reader)
            body = json.dumps({"model": MODEL, "input": text}).encode()
            windows = [window for window in reader.windows(text) if window is not None]
            ours: list[float] = []
            bare: list[float] = []
            _timed(partial(_request, url, body), 3)
            for _ in range(rounds):
                ours += _timed(partial(_request, url, body), 10)
                bare += _timed(partial(_bare, reader, trained, windows), 10)
            rows.append(_row(f"{language}, {kernels}", ours, bare))
    vectors.close()
    return rows


def main() -> int:
    """Measure and print the table; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.moderation", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="rounds of ten requests per side and language")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--log", action="store_true", help="append the table to bench/LOG.md")
    arguments = parser.parse_args()
    folder = load().home / "kernels" / "cpu"
    kinds = {"npm kernels": next(folder.glob("libllama.v*.so"), None) if folder.is_dir() else None, "wheel": None}
    rows = [
        row
        for name, library in kinds.items()
        if library is not None or name == "wheel"
        for row in _measure(name, library, arguments.rounds, arguments.threads)
    ]
    method = f"{machine.rounds(arguments.rounds)} of 10"
    table = [
        f"### {machine.heading(f'{MODEL}, {TOKENS} tokens', arguments.threads, 'xllamacpp', method)}",
        "",
        "| text | p50 ms | p95 ms | bare p50 ms | bare p95 ms | bare / ours | tokens/s | p95 under 200 ms |",
        "|---|---|---|---|---|---|---|---|",
        *rows,
    ]
    print("\n".join(table))
    if arguments.log:
        log.append(table)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
