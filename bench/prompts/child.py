"""The process that measures one way: `python -m bench.prompts.child JOB`, the job as JSON; it prints the outcome.

A process of its own, because libraries keep memory and threads for good, and one that is killed for memory must not end
the comparison.
"""

import ctypes
import gc
import itertools
import os
import resource
import sys
import time
from pathlib import Path

import msgspec
import numpy as np
import psutil

from bench.prompts import llama_computer, model_weights
from bench.prompts.computer import GraphComputer, Ids, PromptComputer
from bench.prompts.model_weights import VOCABULARY
from bench.prompts.way import Job, Load, Outcome
from homeport.engines.llama.library import kernels

CHECKED, CHECKED_LENGTH = 6, 192
"""The prompts whose logits are compared."""

_FIRST_ID = 300  # ids below are control tokens and single bytes
_WARM_UP = Load(16)
_SHORT_S = 0.5  # a load that takes less is repeated more often
_RUSAGE_UNIT = 1 if sys.platform == "darwin" else 1024


def prompts(load: Load, seed: int) -> list[Ids]:
    """Return the prompts of a load: random ids, the same in every process."""
    draw = np.random.default_rng([seed, load.length])
    return list(draw.integers(_FIRST_ID, VOCABULARY, (load.prompts, load.length)).astype(np.int32))


def measure(job: Job) -> Outcome:
    """Start a way and measure all loads. Raises what its library raises, or ImportError if that is not installed."""
    idle = psutil.Process().memory_info().rss
    start = time.perf_counter()
    computer = _open(job)
    computer.compute(prompts(_WARM_UP, 0))
    start_s = time.perf_counter() - start
    _return_freed_memory()
    ready = psutil.Process().memory_info().rss
    if job.way.is_pinned:
        pin_threads(job.threads)
    fastest = [_fastest(computer, load, job.rounds) for load in job.loads]
    checked = [computer.compute([prompt])[0] for prompt in prompts(Load(CHECKED_LENGTH, CHECKED), 1)]
    return Outcome(
        start_s=start_s,
        seconds=tuple(wall for wall, _ in fastest),
        cpu_s=tuple(cpu for _, cpu in fastest),
        idle_bytes=idle,
        ready_bytes=ready,
        peak_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _RUSAGE_UNIT,
        logits=[row.tolist() for row in checked],
        description=computer.description,
    )


def _open(job: Job) -> PromptComputer:
    library = Path(job.library) if job.library else None
    if job.way.backend == "llama.cpp":
        return llama_computer.open_computer(job.way, Path(job.weights), library, job.threads)
    weights = model_weights.read(kernels(library), Path(job.weights))
    if job.way.backend == "openvino":
        from bench.prompts.openvino_graph import OpenVinoGraph  # optional, and each process loads one library only

        return GraphComputer(OpenVinoGraph(weights, job.way, job.threads), weights, job.way.chunk)
    from bench.prompts.onnx_session import OnnxGraph

    return GraphComputer(OnnxGraph(weights, job.way, job.threads), weights, job.way.chunk)


def _fastest(computer: PromptComputer, load: Load, rounds: int) -> tuple[float, float]:
    """Return the seconds and the processor time of the fastest round: other programs only ever add to them."""
    fastest = (float("inf"), 0.0)
    for turn in range(4 * rounds):
        given = prompts(load, 2 + turn)
        start, cpu = time.perf_counter(), time.process_time()
        computer.compute(given)
        fastest = min(fastest, (time.perf_counter() - start, time.process_time() - cpu))
        if turn + 1 >= rounds and fastest[0] > _SHORT_S:
            break
    return fastest


def _return_freed_memory() -> None:
    """Return memory that start-up freed to the system, so that it is not counted. Only with the C library of Linux."""
    gc.collect()
    if sys.platform == "linux":
        ctypes.CDLL(None).malloc_trim(0)


def pin_threads(count: int) -> None:
    """Pin the `count` threads of this process that computed most so far to one processor each. Only on Linux."""
    threads = sorted(psutil.Process().threads(), key=lambda thread: thread.user_time, reverse=True)
    for thread, processor in zip(threads[:count], itertools.cycle(sorted(os.sched_getaffinity(0))), strict=False):
        os.sched_setaffinity(thread.id, {processor})


if __name__ == "__main__":
    print(msgspec.json.encode(measure(msgspec.json.decode(sys.argv[1], type=Job))).decode())
