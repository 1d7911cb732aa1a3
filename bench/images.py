"""`python -m bench.images`: image generation over HTTP against the bare pipelines, in one run; two tables.

First stable-diffusion.cpp with a tiny checkpoint, then the bundled model. The bare side calls the library, or the
pipeline of the bundled model, in this process, one image after another, without server, worker or file. Sides
alternate, so that drift of the machine affects both alike. Prints the tables and, with --log, appends them to
bench/LOG.md.
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
from tests.system.tiny_diffusion import MODEL, install_tiny_model

BUNDLED, CAPTIONS = "homeport-emoji-128", "multilingual-e5-small"
EDGE = 256
CALLERS = (1, 4)
TARGET = 0.95


@dataclass(frozen=True, slots=True)
class Work:
    """What is measured. `target`: the bare side's time divided by ours, if there is a target."""

    model: str
    engine: str
    steps: int
    rounds: int
    target: float | None = None


class Bare(Protocol):
    """A bare pipeline."""

    def generate(self, steps: int, seed: int) -> None:
        """Generate one image."""
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

    def generate(self, steps: int, seed: int) -> None:
        """Generate one image."""
        params = sd.SDImageGenParams()
        params.prompt, params.width, params.height, params.seed = "a red fox", EDGE, EDGE, seed
        params.sample_params.sample_steps, params.sample_params.cfg_scale = steps, 1.0
        params.sample_params.sample_method = sd.SampleMethod.EULER
        self._context.generate_with_params(params)


class BundledModel:
    """The bundled model's pipeline."""

    def __init__(self, home: Path, threads: int) -> None:
        self._captions = encoder.load(
            model_home.weights(home, CAPTIONS), encoder.EncoderOptions(threads=threads, library=servers.wheel_kernels())
        )
        networks = Networks(model_home.files(home, BUNDLED), threads)
        self._pipeline = ClipartPipeline(networks, E5CaptionEncoder(self._captions), self._captions.close)

    def generate(self, steps: int, seed: int) -> None:
        """Generate one image."""
        size = ImageSize(EDGE, EDGE)
        *_, image = self._pipeline.generate(
            PipelineInput("a red fox", self._pipeline.fit_size(size), seed, steps=steps)
        )
        if not isinstance(image, np.ndarray):
            raise TypeError("the pipeline ended without an image")
        self._pipeline.enlarge(image, size)


def _ours(address: Address, steps: int, seed: int) -> None:
    connection = http.client.HTTPConnection(address.host, address.port, timeout=600)
    body = {"model": address.model, "prompt": "a red fox", "size": f"{EDGE}x{EDGE}", "steps": steps, "seed": seed}
    body["response_format"] = "b64_json"
    connection.request("POST", "/v1/images/generations", json.dumps(body), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    if answer.status != 200:
        raise RuntimeError(content.decode())


def _row(callers: int, work: Work, address: Address, bare: Bare) -> str:
    """Measure seconds per image with a number of concurrent callers, on both sides."""
    ours: list[float] = []
    alone: list[float] = []
    for _ in range(work.rounds):
        start = time.perf_counter()
        for seed in range(callers):
            bare.generate(work.steps, seed)
        alone.append((time.perf_counter() - start) / callers)
        start = time.perf_counter()
        with ThreadPoolExecutor(callers) as pool:
            list(pool.map(partial(_ours, address, work.steps), range(callers)))
        ours.append((time.perf_counter() - start) / callers)
    seconds, floor = statistics.median(ours), statistics.median(alone)
    cells = [str(callers), f"{seconds:.2f}", f"{floor:.2f}", f"{floor / seconds:.2f}"]
    if work.target:
        cells.append("yes" if floor / seconds >= work.target else "no")
    return "| " + " | ".join(cells) + " |"


def _heading(work: Work, threads: int) -> list[str]:
    method = f"{EDGE}x{EDGE}, {work.steps} steps, {machine.rounds(work.rounds)}"
    columns = ["callers", "seconds per image", "bare pipeline", "bare / ours"]
    if work.target:
        columns.append(f"at least {work.target}")
    return [
        f"### {machine.heading(work.model, threads, work.engine, method)}",
        "",
        "| " + " | ".join(columns) + " |",
        "|" + "---|" * len(columns),
    ]


def _table(work: Work, threads: int, address: Address, bare: Bare) -> list[str]:
    lines = _heading(work, threads)
    print("\n".join(lines), flush=True)
    bare.generate(work.steps, 0)
    _ours(address, work.steps, 0)
    for callers in CALLERS:
        lines.append(_row(callers, work, address, bare))
        print(lines[-1], flush=True)
    return lines


@contextmanager
def _library(threads: int) -> Iterator[tuple[Address, Bare]]:
    """A server with the tiny model, and the bare library."""
    with tempfile.TemporaryDirectory() as folder:
        install_tiny_model(Path(folder), edge=EDGE)
        bare = Library(model_home.files(Path(folder), MODEL), threads)
        settings = {"THREADS": str(threads), "HOME": folder, "OFFLINE": "1"}
        with servers.homeport(MODEL, settings) as served:
            yield served.address, bare


@contextmanager
def _bundled(threads: int) -> Iterator[tuple[Address, Bare]]:
    """A server with the bundled model, and its bare pipeline on the same kernels."""
    with tempfile.TemporaryDirectory() as folder:
        store = ModelStore(Path(folder))
        captions = store.folder(CAPTIONS)
        captions.parent.mkdir(parents=True)
        captions.symlink_to(model_home.weights(load().home, CAPTIONS).parent, target_is_directory=True)
        pull(BUNDLED, store, PullOptions(offline=True), NullProgress())
        settings = {"THREADS": str(threads), "HOME": folder, "OFFLINE": "1", "LLAMA_LIB": str(servers.wheel_kernels())}
        with servers.homeport(BUNDLED, settings) as served:
            yield served.address, BundledModel(Path(folder), threads)


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(prog="python -m bench.images", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=20, help="steps of the tiny checkpoint")
    parser.add_argument("--box-steps", type=int, default=8, help="steps of the bundled model, whose default is 8")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--log", action="store_true", help="append the tables to bench/LOG.md")
    arguments = parser.parse_args()
    works = (
        (Work(MODEL, "cyllama", arguments.steps, arguments.rounds, TARGET), _library),
        # More rounds, because each image takes a fraction of a second.
        (Work(BUNDLED, "onnxruntime", arguments.box_steps, 5 * arguments.rounds), _bundled),
    )
    lines: list[str] = []
    for work, opened in works:
        with opened(arguments.threads) as (address, bare):
            lines += ["", *_table(work, arguments.threads, address, bare)]
    if arguments.log:
        log.append(lines[1:])


if __name__ == "__main__":
    main()
