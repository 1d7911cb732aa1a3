"""`python -m bench.prompts`: prompt tokens per second of all ways to compute prompts, each against the CPU's peak.

Every way runs in a process of its own, one after the other. OpenVINO is measured where it is installed. Prints tables
and, with --log, appends them to bench/LOG.md.
"""

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from bench import log, machine, model_home
from bench.prompts import cpu_peak, model_weights, table, way
from bench.prompts.cpu_peak import Peak
from bench.prompts.table import Result
from bench.prompts.way import Job, Load, Numbers, Outcome, Way
from homeport import settings
from homeport.engines.llama.library import kernels
from homeport.engines.llama.model import LlamaModel
from homeport.engines.text.executors.llama import requantize
from homeport.models.kernels import find_installed_kernels

_HUGE_PAGES = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
_ORIGINAL = "original"
_LIMIT_S = 1800.0
_REASON_CHARACTERS = 200


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


class Files:
    """A model's weights in every layout, which are written once into the folder of the benchmarks' own home."""

    def __init__(self, home: Path, model: str, library: Path | None) -> None:
        self._source = Path(model) if model.endswith(".gguf") else model_home.weights(home, model)
        self._folder = home / "bench" / "prompts"
        self._library = library

    @property
    def name(self) -> str:
        """The file as the makers of the model named it."""
        return self._source.name

    def path(self, layout: str) -> Path:
        """The weights in a layout. Raises Unavailable if they cannot be converted to it."""
        if layout == _ORIGINAL:
            return self._source
        target = self._folder / f"{self._source.stem}-{layout}.gguf"
        if not target.exists():
            _say(f"requantizing {self.name} to {layout}, once")
            self._folder.mkdir(parents=True, exist_ok=True)
            part = target.with_suffix(".part")
            requantize.requantize(kernels(self._library), self._source, part, layout)
            part.rename(target)
        return target

    def shape(self) -> model_weights.Shape:
        """The model's shape. Raises ValueError for an unknown architecture."""
        model = LlamaModel(kernels(self._library), self._source)
        try:
            return model_weights.read_shape(model.metadata)
        finally:
            model.close()


def measure(each: Way, files: Files, library: str, options: argparse.Namespace, loads: tuple[Load, ...]) -> Result:
    """Measure a way in a process of its own."""
    if each.backend == "openvino" and not _has_openvino():
        return Result(each, None, "OpenVINO is not installed")
    job = Job(each, str(files.path(each.layout)), library, options.threads, loads, options.rounds)
    command = [sys.executable, "-m", "bench.prompts.child", msgspec.json.encode(job).decode()]
    try:
        output = _output(command, _HUGE_PAGES if each.huge_pages else {})
    except RuntimeError as error:
        return Result(each, None, str(error))
    outcome = msgspec.json.decode(output, type=Outcome)
    found = {str(load): round(load.tokens / seconds) for load, seconds in zip(loads, outcome.seconds, strict=True)}
    _say(f"{each.name} ({outcome.description}): {found}, {outcome.busy(options.threads):.0%} busy")
    return Result(each, outcome)


def find_peak(threads: int) -> Peak:
    """Return the CPU's peak, with measured products where OpenVINO is installed."""
    measured: dict[Numbers, float] = {}
    if _has_openvino():
        measured = json.loads(_output([sys.executable, "-m", "bench.prompts.matmul", str(threads)], {}))
    return cpu_peak.find_peak(cpu_peak.read_cpu(), threads, measured)


def _has_openvino() -> bool:
    return importlib.util.find_spec("openvino") is not None


def _output(command: Sequence[str], environ: Mapping[str, str]) -> str:
    """Return the last line that a program prints. Raises RuntimeError with the last one of its errors if it fails."""
    try:
        done = subprocess.run(
            command, capture_output=True, check=False, env={**os.environ, **environ}, text=True, timeout=_LIMIT_S
        )
    except subprocess.TimeoutExpired as error:
        raise RuntimeError(f"not done after {_LIMIT_S:.0f} s") from error
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        raise RuntimeError(lines[-1][:_REASON_CHARACTERS])
    return done.stdout.splitlines()[-1]


def _ways(options: argparse.Namespace) -> list[Way]:
    """The ways asked for; the reference is always among them, as the first."""
    all_ways = way.ways()
    others = [
        msgspec.structs.replace(all_ways[0], name=f"llama.cpp, Q8_0, {path.name}", kernels=str(path))
        for path in options.kernels
    ]
    chosen = [
        each for each in (*all_ways[1:], *others) if not options.ways or any(map(each.name.startswith, options.ways))
    ]
    return [all_ways[0], *chosen]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.prompts", description=__doc__)
    parser.add_argument("--models", nargs="+", default=["smollm2-135m", "qwen2.5-coder-0.5b"], help="or GGUF files")
    parser.add_argument("--lengths", type=int, nargs="+", default=[64, 200, 1500, 6000], help="tokens of a prompt")
    parser.add_argument("--together", type=int, default=24_000, help="most tokens of 16 prompts given at once")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--ways", nargs="*", default=[], metavar="NAME", help="only those whose names begin so")
    parser.add_argument("--kernels", nargs="*", type=Path, default=[], help="further kernels of llama.cpp to compare")
    parser.add_argument("--log", action="store_true", help="append the tables to bench/LOG.md")
    return parser.parse_args()


def main() -> None:
    """Run the comparison."""
    options = _arguments()
    home = settings.load().home
    installed = find_installed_kernels(home)
    libraries = {way.INSTALLED: str(installed or ""), way.WHEEL: ""}
    loads = way.loads(options.lengths, options.together)
    peak = find_peak(options.threads)
    for model in options.models:
        files = Files(home, model, installed)
        shape = files.shape()
        results = []
        for each in _ways(options):
            results.append(measure(each, files, libraries.get(each.kernels, each.kernels), options, loads))
        method = f"fastest of {machine.rounds(options.rounds)} at least"
        lines = [
            f"### Prompts · {machine.heading(files.name, options.threads, 'openvino', method)}",
            "",
            *table.peaks(peak),
            "",
            *table.speeds(results, loads, peak, shape),
        ]
        print("\n".join(lines), flush=True)
        if options.log:
            log.append(lines)


if __name__ == "__main__":
    main()
