"""`python -m bench.images`: pictures over HTTP against what paints them alone, in one run: two tables.

First stable-diffusion.cpp with a tiny checkpoint, then the model in the box. The bare side calls the library (or reads
the caption, walks, cleans and enlarges by the very code that serves) in this process, one picture after another, and
does nothing with the pixels: no server, no worker, no file. Rounds take turns, so drift of the machine hits both alike.
Prints the tables and, with --log, appends them to bench/LOG.md.
"""

import argparse
import http.client
import json
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np
from cyllama import sd

from bench import (
    log,
    machine,
    model_home,
    servers,
)
from bench.load import Address
from homeport.domain.images import ImageSize
from homeport.domain.operations import NullProgress
from homeport.engines.images.pipeline import PipelineInput
from homeport.engines.images.pipelines.clipart.networks import Networks
from homeport.engines.images.pipelines.clipart.pipeline import ClipartPipeline, E5CaptionEncoder
from homeport.engines.llama import encoder
from homeport.models.model_store import ModelStore
from homeport.models.pull import pull
from homeport.models.pull_options import PullOptions
from homeport.settings import load
from tests.system.tiny_diffusion import MODEL, furnish

BOX, CAPTIONS = "homeport-emoji-128", "multilingual-e5-small"
EDGE = 256
CALLERS = (1, 4)
TARGET = 0.95


@dataclass(frozen=True, slots=True)
class Work:
    """What is measured. `target`: of the time alone by ours, where one was set."""

    model: str
    engine: str
    steps: int
    rounds: int
    target: float | None = None


class Bare(Protocol):
    """What paints, alone."""

    def paint(self, steps: int, seed: int) -> None:
        """One picture."""
        ...


class Library:
    """stable-diffusion.cpp with the tiny model."""

    def __init__(self, files: Mapping[str, Path], threads: int) -> None:
        params = sd.SDContextParams(vae_decode_only=False, n_threads=threads)
        params.free_params_immediately = False
        params.diffusion_model_path = str(files["diffusion"])
        params.clip_l_path = str(files["clip_l"])
        params.taesd_path = str(files["taesd"])
        self._context = sd.SDContext(params)

    def paint(self, steps: int, seed: int) -> None:
        """One picture."""
        wanted = sd.SDImageGenParams()
        wanted.prompt, wanted.width, wanted.height, wanted.seed = "a red fox", EDGE, EDGE, seed
        wanted.sample_params.sample_steps, wanted.sample_params.cfg_scale = steps, 1.0
        wanted.sample_params.sample_method = sd.SampleMethod.EULER
        self._context.generate_with_params(wanted)


class Box:
    """The model in the box, by the code that serves it."""

    def __init__(self, home: Path, threads: int) -> None:
        self._captions = encoder.load(
            model_home.weights(home, CAPTIONS), encoder.EncoderOptions(threads=threads, library=servers.wheel_kernels())
        )
        networks = Networks(model_home.files(home, BOX), threads)
        self._painter = ClipartPipeline(networks, E5CaptionEncoder(self._captions), self._captions.close)

    def paint(self, steps: int, seed: int) -> None:
        """One picture."""
        size = ImageSize(EDGE, EDGE)
        *_, made = self._painter.generate(PipelineInput("a red fox", self._painter.fit_size(size), seed, steps=steps))
        if not isinstance(made, np.ndarray):
            raise TypeError("the painter ended without a picture")
        self._painter.enlarge(made, size)


def _ours(address: Address, steps: int, seed: int) -> None:
    connection = http.client.HTTPConnection(address.host, address.port, timeout=600)
    asked = {"model": address.model, "prompt": "a red fox", "size": f"{EDGE}x{EDGE}", "steps": steps, "seed": seed}
    asked["response_format"] = "b64_json"
    connection.request("POST", "/v1/images/generations", json.dumps(asked), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    if answer.status != 200:
        raise RuntimeError(body.decode())


def _row(callers: int, work: Work, address: Address, bare: Bare) -> str:
    """Seconds per picture with so many callers at once, on both sides."""
    ours: list[float] = []
    alone: list[float] = []
    for _ in range(work.rounds):
        began = time.perf_counter()
        for seed in range(callers):
            bare.paint(work.steps, seed)
        alone.append((time.perf_counter() - began) / callers)
        began = time.perf_counter()
        with ThreadPoolExecutor(callers) as pool:
            list(pool.map(partial(_ours, address, work.steps), range(callers)))
        ours.append((time.perf_counter() - began) / callers)
    seconds, floor = statistics.median(ours), statistics.median(alone)
    cells = [str(callers), f"{seconds:.2f}", f"{floor:.2f}", f"{floor / seconds:.2f}"]
    if work.target:
        cells.append("yes" if floor / seconds >= work.target else "no")
    return "| " + " | ".join(cells) + " |"


def _heading(work: Work, threads: int) -> list[str]:
    how = f"{EDGE}x{EDGE}, {work.steps} steps, {machine.rounds(work.rounds)}"
    columns = ["callers", "seconds per picture", "what paints alone", "alone / ours"]
    if work.target:
        columns.append(f"at least {work.target}")
    return [
        f"### {machine.heading(work.model, threads, work.engine, how)}",
        "",
        "| " + " | ".join(columns) + " |",
        "|" + "---|" * len(columns),
    ]


def _table(work: Work, threads: int, address: Address, bare: Bare) -> list[str]:
    lines = _heading(work, threads)
    print("\n".join(lines), flush=True)
    bare.paint(work.steps, 0)
    _ours(address, work.steps, 0)
    for callers in CALLERS:
        lines.append(_row(callers, work, address, bare))
        print(lines[-1], flush=True)
    return lines


@contextmanager
def _library(threads: int) -> Iterator[tuple[Address, Bare]]:
    """A server with the tiny model, and the library alone."""
    with tempfile.TemporaryDirectory() as folder:
        furnish(Path(folder), edge=EDGE)
        bare = Library(model_home.files(Path(folder), MODEL), threads)
        settings = {"THREADS": str(threads), "HOME": folder, "OFFLINE": "1"}
        with servers.homeport(MODEL, settings) as served:
            yield served.address, bare


@contextmanager
def _box(threads: int) -> Iterator[tuple[Address, Bare]]:
    """A server with the model in the box, installed from the package, and its sampler alone; the same kernels."""
    with tempfile.TemporaryDirectory() as folder:
        store = ModelStore(Path(folder))
        captions = store.folder(CAPTIONS)
        captions.parent.mkdir(parents=True)
        captions.symlink_to(model_home.weights(load().home, CAPTIONS).parent, target_is_directory=True)
        pull(BOX, store, PullOptions(offline=True), NullProgress())
        settings = {"THREADS": str(threads), "HOME": folder, "OFFLINE": "1", "LLAMA_LIB": str(servers.wheel_kernels())}
        with servers.homeport(BOX, settings) as served:
            yield served.address, Box(Path(folder), threads)


def main() -> None:
    """Run the tables."""
    parser = argparse.ArgumentParser(prog="python -m bench.images", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=20, help="of the tiny checkpoint")
    parser.add_argument("--box-steps", type=int, default=8, help="of the model in the box; 8 are its own number")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--log", action="store_true", help="append the tables to bench/LOG.md")
    asked = parser.parse_args()
    works = (
        (Work(MODEL, "cyllama", asked.steps, asked.rounds, TARGET), _library),
        (Work(BOX, "onnxruntime", asked.box_steps, 5 * asked.rounds), _box),  # each takes a fraction of a second
    )
    lines: list[str] = []
    for work, opened in works:
        with opened(asked.threads) as (address, bare):
            lines += ["", *_table(work, asked.threads, address, bare)]
    if asked.log:
        log.append(lines[1:])


if __name__ == "__main__":
    main()
