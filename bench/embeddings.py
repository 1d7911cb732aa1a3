"""`python -m bench.embeddings`: our server's embeddings against the bare kernels and llama.cpp's server, in one run.

All compute the same texts with the same GGUF file. Bare: llama.cpp through our binding in this process, including
tokenization, once with the library's defaults and once with our attention for short texts. llama.cpp's server always
uses the wheel's kernels. Requests use persistent connections, as the SDKs do; the client's work before sending and
after receiving is not counted. Sides alternate, so that drift of the machine affects all alike; cells are medians of
texts per second. Prints a table and, with --log, appends it to bench/LOG.md.
"""

import argparse
import base64
import json
import random
import socket
import statistics
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from typing import Protocol, cast

import msgspec
import numpy as np

from bench import (
    log,
    machine,
    model_home,
    servers,
)
from bench.load import Address
from homeport.engines.llama import encoder
from homeport.engines.llama.encoder import (
    EmbeddingEncoder,
    EncoderOptions,
    Ids,
    Vectors,
)
from homeport.models.kernels import find_installed_kernels
from homeport.settings import load

MODEL = "multilingual-e5-small"
PREFIX = "passage: "  # our server adds it
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

SIDES = ("ours", "bare", "bare, our attention", "peer")


class Work(msgspec.Struct, frozen=True):
    """A load: `texts` texts with a random number of `words`, `at_a_time` per request, from `callers` at once."""

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


class Side(Protocol):
    """Something that embeds texts: `ask` is timed, `vectors` then reads its result."""

    def ask(self, texts: Sequence[str]) -> object:
        """Embed texts; return a result for `vectors`."""
        ...

    def vectors(self, result: object) -> Vectors:
        """The vectors of a result, one row per text."""
        ...


class Bare:
    """The bare kernels, with batches filled in order. Implements `Side`."""

    def __init__(self, model: EmbeddingEncoder) -> None:
        self._model = model

    def ask(self, texts: Sequence[str]) -> object:
        """Tokenize and compute."""
        return np.concatenate([self._model.encode(batch) for batch in self._filled(texts)])

    def vectors(self, result: object) -> Vectors:
        """The result itself."""
        return cast(Vectors, result)

    def _filled(self, texts: Sequence[str]) -> Iterator[list[Ids]]:
        model = self._model
        batch: list[Ids] = []
        for text in texts:
            ids = model.tokenize(PREFIX + text)
            if batch and (sum(map(len, batch)) + len(ids) > model.batch or len(batch) == model.sequences):
                yield batch
                batch = []
            batch.append(ids)
        yield batch


class Server:
    """A server, with one persistent connection per thread. `prefix`: prepended, if the server does not add it."""

    def __init__(self, address: Address, prefix: str) -> None:
        self._address = address
        self._prefix = prefix
        self._local = threading.local()

    def ask(self, texts: Sequence[str]) -> object:
        """Send a request and wait for the whole answer; retry if the server has closed the connection."""
        request = self._request(texts)
        line = getattr(self._local, "line", None)
        if line is not None:
            with suppress(ConnectionError):
                line.sendall(request)
                return _receive(line)
        line = self._local.line = socket.create_connection((self._address.host, self._address.port), timeout=600)
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        line.sendall(request)
        return _receive(line)

    def vectors(self, result: object) -> Vectors:
        """Decode an answer. Raises RuntimeError if it is an error."""
        head, body = cast(tuple[bytes, bytes], result)
        if not head.startswith(b"HTTP/1.1 200 "):
            raise RuntimeError(body)
        rows = sorted(json.loads(body)["data"], key=lambda each: each["index"])
        return np.stack([np.frombuffer(base64.b64decode(row["embedding"]), "<f4") for row in rows])

    def _request(self, texts: Sequence[str]) -> bytes:
        inputs = [self._prefix + text for text in texts]
        body = json.dumps({"model": self._address.model, "input": inputs, "encoding_format": "base64"}).encode()
        head = f"POST /v1/embeddings HTTP/1.1\r\nHost: {self._address.host}\r\nContent-Type: application/json\r\n"
        return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def _receive(line: socket.socket) -> tuple[bytes, bytes]:
    """Receive the head and body of an answer with a Content-Length."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += _receive_some(line)
    head, _, body = data.partition(b"\r\n\r\n")
    size = int(next(each[15:] for each in head.lower().split(b"\r\n") if each.startswith(b"content-length:")))
    pieces, got = [body], len(body)
    while got < size:
        pieces.append(_receive_some(line))
        got += len(pieces[-1])
    return head, b"".join(pieces)


def _receive_some(line: socket.socket) -> bytes:
    data = line.recv(1 << 20)
    if not data:
        raise ConnectionResetError("the server closed the connection")
    return data


def _timed(side: Side, work: Work, texts: Sequence[str]) -> tuple[float, Vectors]:
    """Measure texts per second; return them with the vectors."""
    start = time.perf_counter()
    if work.callers == 1:
        results = [side.ask(piece) for piece in work.pieces(texts)]
    else:
        with ThreadPoolExecutor(work.callers) as pool:
            results = list(pool.map(side.ask, work.pieces(texts)))
    speed = len(texts) / (time.perf_counter() - start)
    return speed, np.concatenate([side.vectors(each) for each in results])


def measure(sides: Mapping[str, Side], work: Work, rounds: int) -> dict[str, float]:
    """Median texts per second by side. Raises RuntimeError if two sides return different vectors."""
    speeds: dict[str, list[float]] = {side: [] for side in sides}
    for turn in range(rounds):
        texts = work.make(seed=turn)
        found: dict[str, Vectors] = {}
        for name, side in sides.items():
            # There is one set of bare kernels, so its callers take turns.
            alone = msgspec.structs.replace(work, callers=1) if isinstance(side, Bare) else work
            speed, found[name] = _timed(side, alone, texts)
            speeds[name].append(speed)
        for name, rows in found.items():
            if (rows * found["bare"]).sum(1).min() < 0.999:
                raise RuntimeError(f"{name} returns other vectors than the bare kernels")
    return {name: statistics.median(each) for name, each in speeds.items()}


def _row(work: Work, speed: Mapping[str, float]) -> str:
    ratios = [f"{speed['ours'] / speed[side]:.2f}" for side in SIDES[1:]]
    return "| " + " | ".join([work.name, *(f"{speed[side]:.1f}" for side in speed), *ratios]) + " |"


def _heading(threads: int, method: str) -> list[str]:
    return [
        f"### {machine.heading(MODEL, threads, 'xllamacpp', method)}",
        "",
        "| load | ours texts/s | bare | bare, our attention | llama.cpp's server | ours / bare "
        "| ours / bare, our attention | ours / that server |",
        "|---|---|---|---|---|---|---|---|",
    ]


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--wheel", action="store_true", help="use the wheel's kernels for our server and the bare side")
    parser.add_argument("--log", action="store_true", help="append the table to bench/LOG.md")
    options = parser.parse_args()
    home = load().home
    weights = model_home.weights(home, MODEL)
    library = (None if options.wheel else find_installed_kernels(home)) or servers.wheel_kernels()
    settings = {"LLAMA_LIB": str(library), "THREADS": str(options.threads), "OFFLINE": "1"}
    lines = _heading(options.threads, f"kernels {library.name}, {machine.rounds(options.rounds)}")
    print("\n".join(lines), flush=True)
    with ExitStack() as stack:
        ours = stack.enter_context(servers.homeport(MODEL, settings)).address
        peer = stack.enter_context(servers.llamacpp(weights, servers.VECTORS, options.threads)).address
        threads = options.threads
        plain = encoder.load(weights, EncoderOptions(threads=threads, library=library, is_plain=True))
        model = encoder.load(weights, EncoderOptions(threads=threads, library=library))
        stack.callback(plain.close)
        stack.callback(model.close)
        sides: dict[str, Side] = dict(
            zip(SIDES, (Server(ours, ""), Bare(plain), Bare(model), Server(peer, PREFIX)), strict=True)
        )
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
