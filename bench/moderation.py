"""`python -m bench.moderation`: moderation over HTTP against the bare libraries on the same input, in one run.

The bare side calls llama.cpp's kernels on the same windows of the same text, the words' network and the head, with
nothing around them: no server, no worker, no turns. Rounds alternate, so drift of the machine hits both alike. Prints a
table and, with --log, appends it to bench/LOG.md.
"""

import argparse
import datetime
import json
import os
import platform
import statistics
import subprocess
import time
import urllib.request
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import platformdirs

from bench import servers
from homeport.domain.layouts import ORIGINAL
from homeport.engines.llama import encoder
from homeport.engines.moderation import head
from homeport.engines.moderation.engine import Reader, Window
from homeport.engines.moderation.words import Network
from homeport.models.store import Store
from homeport.settings import share_processors

LOG = Path(__file__).parent / "LOG.md"
MODEL = "homeport-moderation"
SENTENCES = {
    "English": "The committee met on Tuesday to discuss the budget of the harbour and repairs of the northern pier. ",
    "Chinese": "委员会周二开会，讨论港口的预算和北码头的修理工作，会议持续了三个小时。",
}
TOKENS = 512
TOLD = 200.0
"""The bar for the 95th percentile, in milliseconds."""


def _home() -> Path:
    return Path(os.environ.get("HOMEPORT_HOME") or platformdirs.user_data_path("homeport", appauthor=False))


def _files(home: Path) -> dict[str, Path]:
    store = Store(home, ORIGINAL)
    own, e5 = store.find(MODEL), store.find("multilingual-e5-small")
    if own is None or e5 is None:
        raise FileNotFoundError(f"{MODEL} is not installed: run `homeport pull {MODEL}`")
    return {"words": own.files["weights"], "vectors": e5.files["weights"]}


def _text(sentence: str, reader: Reader) -> str:
    """A sentence again and again, up to the number of tokens, each time with another number."""
    text = ""
    number = 0
    while reader.count(text) < TOKENS:
        number += 1
        text += f"{number}. {sentence}"
    while reader.count(text) > TOKENS:
        text = text[:-1]
    return text


def _timed(work: Callable[[], object], repeats: int) -> list[float]:
    """Milliseconds of each of so many runs."""
    found = []
    for _ in range(repeats):
        began = time.perf_counter()
        work()
        found.append((time.perf_counter() - began) * 1e3)
    return found


def _bare(reader: Reader, trained: head.Head, windows: Sequence[Window]) -> None:
    for chunk in reader.chunks(windows):
        trained.judge(reader.features(chunk), [window.text for window in chunk])


def _asked(url: str, body: bytes) -> None:
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})  # noqa: S310 - an http address on loopback
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - the same
        answer.read()


def _row(name: str, ours: list[float], bare: list[float]) -> str:
    def at(found: list[float], hundredth: int) -> float:
        return statistics.quantiles(found, n=100, method="inclusive")[hundredth - 1]

    ratio = statistics.median(bare) / statistics.median(ours)
    cells = [name, f"{at(ours, 50):.0f}", f"{at(ours, 95):.0f}", f"{at(bare, 50):.0f}", f"{at(bare, 95):.0f}"]
    cells += [f"{ratio:.2f}", f"{1e3 * TOKENS / statistics.median(ours):.0f}"]
    cells += ["yes" if at(ours, 95) < TOLD else "no"]
    return "| " + " | ".join(cells) + " |"


def _measure(kernels: str, library: Path | None, rounds: int, threads: int) -> list[str]:
    files = _files(_home())
    vectors = encoder.load(files["vectors"], encoder.EncoderOptions(threads=threads, library=library))
    reader, trained = Reader(vectors, Network(files["words"])), head.built_in()
    settings = {"THREADS": str(threads), "OFFLINE": "1", "LLAMA_LIB": str(library or servers.wheel_kernels())}
    rows = []
    with servers.homeport(MODEL, settings) as address:
        url = f"http://{address.host}:{address.port}/v1/moderations"
        for language, sentence in SENTENCES.items():
            text = _text(sentence, reader)
            body = json.dumps({"model": MODEL, "input": text}).encode()
            windows = [window for window in reader.windows(text) if window is not None]
            ours: list[float] = []
            bare: list[float] = []
            _timed(partial(_asked, url, body), 3)
            for _ in range(rounds):
                ours += _timed(partial(_asked, url, body), 10)
                bare += _timed(partial(_bare, reader, trained, windows), 10)
            rows.append(_row(f"{language}, {kernels}", ours, bare))
    vectors.close()
    return rows


def main() -> int:
    """Measure, print, append with --log; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.moderation", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="of ten requests for each side and language")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--log", action="store_true", help=f"append the table to {LOG.name}")
    asked = parser.parse_args()
    share_processors()  # as the server does: both sides wait for their threads in the same way
    folder = _home() / "kernels" / "cpu"
    kinds = {"npm kernels": next(folder.glob("libllama.v*.so"), None) if folder.is_dir() else None, "wheel": None}
    rows = [
        row
        for name, library in kinds.items()
        if library is not None or name == "wheel"
        for row in _measure(name, library, asked.rounds, asked.threads)
    ]
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    where = f"{platform.machine()}, {os.cpu_count()} cores, {asked.threads} threads"
    table = [
        f"### {datetime.date.today()} · {commit.stdout.strip()} · moderation of {TOKENS} tokens · {where} · "
        f"{asked.rounds} rounds of 10",
        "",
        "| text | p50 ms | p95 ms | bare p50 ms | bare p95 ms | bare / ours | tokens/s | p95 under 200 ms |",
        "|---|---|---|---|---|---|---|---|",
        *rows,
    ]
    print("\n".join(table))
    if asked.log:
        with LOG.open("a", encoding="utf-8") as file:
            file.write("\n" + "\n".join(table) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
