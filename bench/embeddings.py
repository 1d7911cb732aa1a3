"""`python -m bench.embeddings`: our server's embeddings against the bare kernels and llama.cpp's own server, one run.

All on the same kernels and the same GGUF, with the same texts. Bare: llama.cpp through our binding in this process, no
server, tokenising included. Rounds take turns, so drift of the machine hits all alike; cells are medians of texts per
second. Prints a table and, with --log, appends it to bench/LOG.md.
"""

import argparse
import base64
import http.client
import json
import random
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing

import msgspec
import numpy as np

from bench import homes, log, machine, servers
from bench.load import Address
from homeport.engines.llama import encoder
from homeport.engines.llama.encoder import Encoder, EncoderOptions, Ids, Vectors
from homeport.models.kernels import installed_kernels
from homeport.settings import load, share_processors

MODEL = "multilingual-e5-small"
PREFIX = "passage: "  # ours adds it by itself
WORDS = [
    "river",
    "market",
    "engine",
    "window",
    "morning",
    "paper",
    "garden",
    "letter",
    "winter",
    "bridge",
    "music",
    "doctor",
    "table",
    "station",
    "question",
    "answer",
    "mountain",
    "village",
    "number",
    "summer",
    "kitchen",
    "travel",
    "history",
    "silver",
    "promise",
    "weather",
    "picture",
    "teacher",
    "island",
    "machine",
]

Embed = Callable[[Sequence[str]], Vectors]


class Work(msgspec.Struct, frozen=True):
    """So many texts of so many words, sent by `callers` at once, each `at_a_time` in a request."""

    name: str
    texts: int
    words: tuple[int, int]
    at_a_time: int
    callers: int = 1

    def make(self, seed: int) -> list[str]:
        """The texts of one round."""
        chance = random.Random(seed)
        return [" ".join(chance.choices(WORDS, k=chance.randint(*self.words))) for _ in range(self.texts)]

    def pieces(self, texts: Sequence[str]) -> list[Sequence[str]]:
        """The texts of each request."""
        return [texts[start : start + self.at_a_time] for start in range(0, len(texts), self.at_a_time)]


SHORT, LONG = (5, 20), (280, 320)
BATCH = Work("short texts, 256 in a request", 256, SHORT, 256)
ALONE = Work("short texts, one by one", 64, SHORT, 1)
WORKS = (
    BATCH,
    ALONE,
    Work("short texts, 4 callers of 64", 256, SHORT, 64, callers=4),
    Work("long texts, 16 in a request", 16, LONG, 16),
    Work("long texts, one by one", 8, LONG, 1),
)


def bare(model: Encoder) -> Embed:
    """The kernels alone, batches filled in order."""

    def embed(texts: Sequence[str]) -> Vectors:
        return np.concatenate([model.encode(batch) for batch in _filled(model, texts)])

    return embed


def _filled(model: Encoder, texts: Sequence[str]) -> Iterator[list[Ids]]:
    batch: list[Ids] = []
    for text in texts:
        ids = model.tokenise(PREFIX + text)
        if batch and (sum(map(len, batch)) + len(ids) > model.batch or len(batch) == model.sequences):
            yield batch
            batch = []
        batch.append(ids)
    yield batch


def over_http(address: Address, prefix: str) -> Embed:
    """A server, asked as the SDKs do."""

    def embed(texts: Sequence[str]) -> Vectors:
        body = {"model": address.model, "input": [prefix + text for text in texts], "encoding_format": "base64"}
        with closing(http.client.HTTPConnection(address.host, address.port, timeout=600)) as line:
            line.request("POST", "/v1/embeddings", json.dumps(body), {"Content-Type": "application/json"})
            answer = line.getresponse()
            told = json.loads(answer.read())
        if answer.status != 200:
            raise RuntimeError(told)
        rows = sorted(told["data"], key=lambda each: each["index"])
        return np.stack([np.frombuffer(base64.b64decode(row["embedding"]), "<f4") for row in rows])

    return embed


def _timed(embed: Embed, work: Work, texts: Sequence[str]) -> tuple[float, Vectors]:
    """Texts per second, and their vectors."""
    began = time.perf_counter()
    if work.callers == 1:
        rows = [embed(piece) for piece in work.pieces(texts)]
    else:
        with ThreadPoolExecutor(work.callers) as pool:
            rows = list(pool.map(embed, work.pieces(texts)))
    return len(texts) / (time.perf_counter() - began), np.concatenate(rows)


def measure(sides: Mapping[str, Embed], work: Work, rounds: int) -> dict[str, float]:
    """Median texts per second by side. Raises RuntimeError where two sides do not give the same vectors."""
    speeds: dict[str, list[float]] = {side: [] for side in sides}
    for turn in range(rounds):
        texts = work.make(seed=turn)
        found: dict[str, Vectors] = {}
        for side, embed in sides.items():
            # The bare kernels are one: callers take turns there.
            alone = msgspec.structs.replace(work, callers=1) if side == "bare" else work
            speed, found[side] = _timed(embed, alone, texts)
            speeds[side].append(speed)
        for side, rows in found.items():
            if (rows * found["bare"]).sum(1).min() < 0.999:
                raise RuntimeError(f"{side} gives other vectors than the bare kernels")
    return {side: statistics.median(each) for side, each in speeds.items()}


def _row(work: Work, speed: Mapping[str, float]) -> str:
    ratios = [f"{speed['ours'] / speed[side]:.2f}" for side in ("bare", "peer")]
    return "| " + " | ".join([work.name, *(f"{speed[side]:.1f}" for side in speed), *ratios]) + " |"


def _heading(threads: int, how: str) -> list[str]:
    return [
        f"### {machine.heading(MODEL, threads, 'xllamacpp', how)}",
        "",
        "| load | ours texts/s | bare | llama.cpp's server | ours / bare | ours / that server |",
        "|---|---|---|---|---|---|",
    ]


def main() -> None:
    """Run the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--installed", action="store_true", help="ours and bare on the installed kernels, not the wheel's"
    )
    parser.add_argument("--log", action="store_true", help="append the table to bench/LOG.md")
    options = parser.parse_args()
    share_processors()
    home = load().home
    weights = homes.weights(home, MODEL)
    library = (installed_kernels(home) if options.installed else None) or servers.wheel_kernels()
    settings = {"LLAMA_LIB": str(library), "THREADS": str(options.threads), "OFFLINE": "1"}
    lines = _heading(options.threads, f"kernels {library.name}, {machine.rounds(options.rounds)}")
    print("\n".join(lines), flush=True)
    with ExitStack() as stack:
        ours = stack.enter_context(servers.homeport(MODEL, settings)).address
        peer = stack.enter_context(servers.llamacpp(weights, servers.VECTORS, options.threads)).address
        model = encoder.load(weights, EncoderOptions(threads=options.threads, library=library))
        stack.callback(model.close)
        sides = {"ours": over_http(ours, ""), "bare": bare(model), "peer": over_http(peer, PREFIX)}
        measure(sides, Work("warm-up", 8, SHORT, 4), 1)
        speeds = {}
        for work in WORKS:
            speeds[work] = measure(sides, work, options.rounds)
            lines.append(_row(work, speeds[work]))
            print(lines[-1], flush=True)
    gains = ", ".join(f"{side} {speeds[BATCH][side] / speeds[ALONE][side]:.2f}" for side in sides)
    lines += ["", f"Batches against one by one, as a ratio of texts per second: {gains}."]
    print("\n".join(lines[-2:]), flush=True)
    if options.log:
        log.append(lines)


if __name__ == "__main__":
    main()
