"""`python -m bench.gpu`: our server on a GPU against the same kernels without a server, and the executor's tests there.

All layers and the KV cache are on the GPU, and only the logits of sampled tokens are copied from it. The kernels are
those of --kernels, else the first installed ones that find a GPU. Without a GPU, a software device such as Mesa's shows
that everything works (--quick): its figures mean nothing. Uses no network. Prints one table and, with --log, appends it
to bench/LOG.md; loads that do not fit into --minutes are left out, and named.
"""

import argparse
import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec

from bench import bare_kernels, log, machine, model_home, rounds, run_stats, servers, table
from bench.rounds import Runs, Side
from bench.row import Row, unmeasured
from bench.run_stats import Outcome
from bench.servers import Served
from bench.workload import Workload
from homeport import settings

OURS, FLOOR, PEER = "Homeport", "the bare kernels", "llama.cpp's server"
SOFTWARE_DEVICES = {"GGML_VK_VISIBLE_DEVICES": "0"}
"""With this ggml also uses a Vulkan device that is no GPU."""

_SOFTWARE = ("llvmpipe", "SwiftShader")  # in descriptions of devices that compute on the CPU
_STREAMS, _PROMPTS = (1, 4, 16, 64), (512, 1500)
_CELLS = 2048  # of each sequence
_QUICK_STREAMS, _QUICK_PROMPTS, _QUICK_CELLS, _QUICK_FACTOR = (1, 2), (32,), 256, 25
_PROMPT_OUTPUT = 2
_SHARE_OF_FLOOR, _SHARE_OF_PEER = 0.95, 1.0
_TESTS = "tests/engines/text/executors/llama"
_TESTS_LIMIT_S = 300.0


class GpuKernels(msgspec.Struct, frozen=True):
    """Kernels that find a device, its description, and whether it is computed in software."""

    folder: Path
    device: str
    is_software: bool


class GpuPlan(msgspec.Struct, frozen=True):
    """The parameters of a run. `peer`: a `llama-server` for the same GPU. `end_s`: when the last load may start."""

    model: str
    home: Path
    kernels: GpuKernels
    rounds: int
    threads: int
    quick: bool
    peer: Path | None
    end_s: float

    @property
    def loads(self) -> list[Workload]:
        """Decoding in 1 to 64 streams, then single prompts."""
        if self.quick:
            decode = [Workload(_streams(count), requests=count).shrunk(_QUICK_FACTOR) for count in _QUICK_STREAMS]
        else:
            decode = [Workload(_streams(count), requests=count) for count in _STREAMS]
        lengths = _QUICK_PROMPTS if self.quick else _PROMPTS
        return decode + [Workload(f"a prompt of {length:,} tokens", 1, length, _PROMPT_OUTPUT) for length in lengths]


def _streams(count: int) -> str:
    return f"{count} stream{'s' if count > 1 else ''}"


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def find_kernels(given: Path | None, home: Path) -> GpuKernels:
    """Return the first kernels that find a GPU, else a software device. Exits with the reasons if there are none."""
    folders = (
        [given] if given else [*(home / "kernels" / name for name in ("cuda", "vulkan")), Path(".gpu/kernels/vulkan")]
    )
    reasons = []
    for environ in ({}, SOFTWARE_DEVICES):
        for folder in (each for each in folders if each.is_dir()):
            lines = _describe(folder, environ)
            gpus = [line for line in lines if line.startswith("device: ") and not line.startswith("device: CPU")]
            if gpus:
                is_software = bool(environ) or any(name in gpus[0] for name in _SOFTWARE)
                return GpuKernels(folder.resolve(), gpus[0].removeprefix("device: "), is_software)
            reasons.append(f"{folder}: {lines[-1] if lines else 'they do not load'}")
    sys.exit("\n".join(["No kernels find a GPU: run `homeport kernels install cuda` (or `vulkan`).", *reasons]))


def _describe(folder: Path, environ: Mapping[str, str]) -> list[str]:
    command = [sys.executable, "-m", "homeport.engines.llama", str(folder)]
    done = subprocess.run(command, env={**os.environ, **environ}, capture_output=True, text=True, check=False)
    return done.stdout.splitlines() if done.returncode == 0 else []


@contextmanager
def _sides(plan: GpuPlan) -> Iterator[dict[str, Side]]:
    """Start all sides, warm them up, and pause them."""
    sequences = max(work.requests for work in plan.loads)
    cells = _QUICK_CELLS if plan.quick else _CELLS
    library, weights = plan.kernels.folder, model_home.weights(plan.home, plan.model)
    own = {
        "HOME": str(plan.home),
        "LLAMA_LIB": str(library),
        "LAYOUT": "original",
        "THREADS": str(plan.threads),
        "SLOTS": str(sequences),
        "WINDOW": str(cells),
        "CELLS": str(sequences * cells),
    }
    with ExitStack() as stack:
        sides: dict[str, Side] = {OURS: stack.enter_context(servers.homeport(plan.model, own))}
        sides[FLOOR] = stack.enter_context(bare_kernels.running(weights, library, plan.threads, sequences, cells))
        if plan.peer:
            more = ("-ngl", "999", "-np", str(sequences), "-c", str(sequences * cells), "--no-kv-unified")
            peer = servers.llamacpp(weights, servers.TUNED, plan.threads, plan.peer, more)
            sides[PEER] = stack.enter_context(peer)
        for name, side in sides.items():
            _say(f"warm-up: {name}")
            side.measure(Workload(f"warm-up of {name}", requests=1, prompt_tokens=16, output_tokens=4), turn=0)
            side.child.pause()
        yield sides


def measure(plan: GpuPlan) -> tuple[dict[str, Runs], str]:
    """Run the loads until the time is up; return the outcomes by load and side, and where our model was."""
    found: dict[str, Runs] = {}
    with _sides(plan) as sides:
        ours = sides[OURS]
        if not isinstance(ours, Served):
            raise TypeError("our side is not a server")
        ours.child.resume()
        where = _placement(ours)
        ours.child.pause()
        for work in plan.loads:
            if time.monotonic() < plan.end_s:
                _compile_kernels(plan, sides, work)
                found[work.name] = rounds.alternate(sides, work, plan.rounds, say=_say)
    return found, where


def _compile_kernels(plan: GpuPlan, sides: Mapping[str, Side], work: Workload) -> None:
    """Run a load unmeasured on each side, because a GPU's kernels are compiled at the first use of each size."""
    if not plan.quick:
        for side in sides.values():
            rounds.alone(side, work, turn=plan.rounds)


def _placement(ours: Served) -> str:
    """Return the device of our model and its memory there, as our server reports it."""
    address = ours.address
    url = f"http://{address.host}:{address.port}/v1/models/{address.model}"
    request = urllib.request.Request(url, headers={"authorization": f"Bearer {address.key}"})
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
        entry = json.load(answer)
    return f"{entry['device']}, {entry.get('device_bytes', 0) / 1e6:.0f} MB"


def rows(plan: GpuPlan, found: Mapping[str, Runs]) -> list[Row]:
    """Compare our server with the bare kernels, and with the kernels' own server if there is one."""
    made = []
    for work in plan.loads:
        is_prompt = work.output_tokens == _PROMPT_OUTPUT
        for rival, share in ((FLOOR, _SHARE_OF_FLOOR), *(((PEER, _SHARE_OF_PEER),) if plan.peer else ())):
            if work.name not in found:
                made.append(unmeasured(work.name, rival, share, "the time was up"))
                continue
            ours, theirs = (_figure(found[work.name][side], work, is_prompt=is_prompt) for side in (OURS, rival))
            unit = "prompt tok/s" if is_prompt else "tok/s"
            made.append(Row(work.name, rival, unit, ours, theirs, share))
    return made


def _figure(runs: Sequence[Outcome], work: Workload, *, is_prompt: bool) -> float:
    return work.prompt_tokens / run_stats.ttft(runs) if is_prompt else run_stats.speed(runs)


def run_tests(kernels: GpuKernels, limit_s: float) -> str:
    """Run the executor's tests on the device, on a GPU with real weights too; return pytest's summary."""
    files = [f"{_TESTS}/test_gpu.py"] if kernels.is_software else [_TESTS]
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *files, "--kernels", str(kernels.folder)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=limit_s)
    except subprocess.TimeoutExpired:
        return f"not finished within {limit_s:.0f} s"
    summary = (done.stdout.strip().splitlines() or ["no output"])[-1].strip("= ")
    return summary if done.returncode in (0, 1) else f"pytest ended with status {done.returncode}: {summary}"


def main() -> None:
    """Measure, test and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.gpu", description=__doc__)
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--kernels", type=Path, help="folder of kernels for a GPU; default: installed ones")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--peer", type=Path, help="llama.cpp's server, built for the same GPU")
    parser.add_argument("--quick", action="store_true", help="tiny loads, one round: only to check that it works")
    parser.add_argument("--no-tests", action="store_true", help="leave out the executor's tests")
    parser.add_argument("--log", action="store_true", help="append the table to bench/LOG.md")
    arguments = parser.parse_args()
    start, home = time.monotonic(), settings.load().home
    kernels = find_kernels(arguments.kernels, home)
    quick = arguments.quick or kernels.is_software
    if kernels.is_software:
        os.environ.update(SOFTWARE_DEVICES)
    end_s = start + arguments.minutes * 60
    plan = GpuPlan(
        arguments.model,
        home,
        kernels,
        1 if quick else arguments.rounds,
        arguments.threads,
        quick,
        arguments.peer,
        end_s - (0 if arguments.no_tests else _TESTS_LIMIT_S / 2),
    )
    found, where = measure(plan)
    left_s = max(30.0, min(_TESTS_LIMIT_S, end_s - time.monotonic()))
    tested = "left out" if arguments.no_tests else run_tests(kernels, left_s)
    method = f"{machine.rounds(plan.rounds)}{', quick: figures mean nothing' if quick else ''}"
    heading = machine.heading(plan.model, plan.threads, arguments.peer.name if arguments.peer else "none", method)
    lines = [f"### GPU · {heading}", "", f"The model is on {where}. The device is {kernels.device}.", ""]
    lines += [*table.targets(rows(plan, found)), "", f"The executor's tests on this device: {tested}."]
    print("\n".join(lines), flush=True)
    if arguments.log:
        log.append(lines)


if __name__ == "__main__":
    main()
