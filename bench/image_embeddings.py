"""`python -m bench.image_embeddings`: embeddings of images and texts against bare ONNX Runtime, in one run.

The bare side decodes, preprocesses and computes the same images and texts by the same graphs in this process, without
server, worker or queue. Without --model, the model has CLIP ViT-B/32's shape and random weights. Sides alternate, so
that drift of the machine affects both alike; cells are medians. Prints a table and, with --log, appends it to
bench/LOG.md.
"""

import argparse
import base64
import io
import json
import random
import statistics
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

import msgspec
import numpy as np
from PIL import Image

from bench import log, machine, model_home, random_clip, servers
from bench.embeddings import WORDS
from bench.load import Address
from homeport.engines import image_decoding
from homeport.engines.embeddings.dual_encoder import layouts
from homeport.engines.embeddings.dual_encoder.towers import DualEncoder, Vectors
from homeport.engines.embeddings.engine import EmbeddingOptions
from homeport.settings import load

SIZE = 1024, 768
"""Of the images, as photos are sent; JPEG."""
TARGET_IMAGE_MS, TARGET_TEXT_MS = 60.0, 10.0


Given = TypeVar("Given")


class Work(msgspec.Struct, frozen=True):
    """A load: `count` images or texts, `at_a_time` per request."""

    name: str
    is_images: bool
    count: int
    at_a_time: int


WORKS = (
    Work("images one by one", True, 8, 1),
    Work("16 images in a request", True, 16, 16),
    Work("texts one by one", False, 32, 1),
    Work("64 texts in a request", False, 64, 64),
)


def _photo(seed: int) -> bytes:
    """Make a JPEG with smooth and rough places."""
    chance = np.random.default_rng(seed)
    small = Image.fromarray(chance.integers(0, 256, (12, 16, 3), np.uint8)).resize(SIZE, Image.Resampling.BICUBIC)
    pixels = np.asarray(small).astype(np.int16) + chance.integers(-12, 12, (SIZE[1], SIZE[0], 1), np.int16)
    out = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(out, "JPEG", quality=90)
    return out.getvalue()


def _text(seed: int) -> str:
    chance = random.Random(seed)
    return " ".join(chance.choices(WORDS, k=chance.randint(3, 12)))


def _part(item: bytes | str) -> object:
    if isinstance(item, str):
        return item
    return {"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{base64.b64encode(item).decode()}"}}


class Bare:
    """The graphs in this process, with batches filled in order."""

    def __init__(self, model: DualEncoder, folder: Path) -> None:
        self._model = model
        self._file = folder / "image"

    def embed(self, items: Sequence[bytes | str]) -> Vectors:
        """Compute vectors."""
        rows = np.concatenate(list(self._batches(items)))
        return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)

    def _batches(self, items: Sequence[bytes | str]) -> Iterator[Vectors]:
        texts = [item for item in items if isinstance(item, str)]
        images = [item for item in items if isinstance(item, bytes)]
        for start in range(0, len(texts), self._model.texts.batch):
            batch = texts[start : start + self._model.texts.batch]
            yield self._model.texts.encode([self._model.texts.tokenize(text) for text in batch])
        for start in range(0, len(images), self._model.images.batch):
            batch_pixels = []
            for image in images[start : start + self._model.images.batch]:
                self._file.write_bytes(image)
                decoded = image_decoding.decode_rgb(self._file, "image")
                batch_pixels.append(self._model.images.preprocess(decoded))
            yield self._model.images.encode(batch_pixels)


def _request(address: Address, body: bytes) -> Vectors:
    url = f"http://{address.host}:{address.port}/v1/embeddings"
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=600) as answer:  # noqa: S310 - the same
        rows = json.load(answer)["data"]
    return np.stack([np.frombuffer(base64.b64decode(row["embedding"]), "<f4") for row in rows])


def _timed(embed: Callable[[Given], Vectors], pieces: Sequence[Given]) -> tuple[float, Vectors]:
    start = time.perf_counter()
    rows = [embed(piece) for piece in pieces]
    return time.perf_counter() - start, np.concatenate(rows)


def _measure(work: Work, address: Address, bare: Bare, rounds: int) -> tuple[float, float]:
    """Median milliseconds per input: our server, the bare side. Raises RuntimeError if their vectors differ."""
    ours: list[float] = []
    theirs: list[float] = []
    for turn in range(rounds + 1):
        items = [_photo(turn * 100 + at) if work.is_images else _text(turn * 100 + at) for at in range(work.count)]
        pieces = [items[at : at + work.at_a_time] for at in range(0, work.count, work.at_a_time)]
        parts = [{"model": address.model, "input": list(map(_part, piece))} for piece in pieces]
        bodies = [json.dumps({**part, "encoding_format": "base64"}).encode() for part in parts]
        ours_s, ours_rows = _timed(partial(_request, address), bodies)
        bare_s, bare_rows = _timed(bare.embed, pieces)
        if (ours_rows * bare_rows).sum(1).min() < 0.999:
            raise RuntimeError(f"{work.name}: the server returns other vectors than the bare graphs")
        if turn:  # the first round warms up
            ours.append(1e3 * ours_s / work.count)
            theirs.append(1e3 * bare_s / work.count)
    return statistics.median(ours), statistics.median(theirs)


def _row(work: Work, ours_ms: float, bare_ms: float) -> str:
    target = TARGET_IMAGE_MS if work.is_images else TARGET_TEXT_MS
    cells = [work.name, f"{ours_ms:.1f}", f"{bare_ms:.1f}", f"{bare_ms / ours_ms:.2f}", f"{target:.0f}"]
    return "| " + " | ".join([*cells, "yes" if ours_ms <= target else "no"]) + " |"


@contextmanager
def _home(model: str) -> Iterator[Path]:
    """Yield a home with the model: the user's, or a temporary one with random weights."""
    if model != random_clip.NAME:
        yield load().home
        return
    with tempfile.TemporaryDirectory() as folder:
        random_clip.install(Path(folder), WORDS)
        yield Path(folder)


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.image_embeddings", description=__doc__)
    parser.add_argument("--model", default=random_clip.NAME, help="an installed model that embeds images")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--log", action="store_true", help="append the table to bench/LOG.md")
    options = parser.parse_args()
    heading = machine.heading(options.model, options.threads, "onnxruntime", machine.rounds(options.rounds))
    lines = [f"### {heading}", ""]
    lines += ["| load | ours ms | bare ms | bare / ours | target ms | reached |", "|---|---|---|---|---|---|"]
    print("\n".join(lines), flush=True)
    with ExitStack() as stack:
        home = stack.enter_context(_home(options.model))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        settings = {"HOME": str(home), "THREADS": str(options.threads), "OFFLINE": "1"}
        address = stack.enter_context(servers.homeport(options.model, settings)).address
        paths = model_home.files(home, options.model)
        model = layouts.load(paths, EmbeddingOptions(threads=options.threads))
        bare = Bare(model, folder)
        for work in WORKS:
            lines.append(_row(work, *_measure(work, address, bare, options.rounds)))
            print(lines[-1], flush=True)
    if options.log:
        log.append(lines)


if __name__ == "__main__":
    main()
