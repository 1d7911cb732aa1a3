"""Benchmarks weight layouts in a process of its own, which may crash.

Started with `-m`; its argument is a `LayoutBenchmarkJob` as JSON. The parent process keeps standard input open while it
needs the result. Each line of standard output is one `LayoutBenchmarkEvent` as JSON; the last one contains the trials.
Knows nothing of models' names, of manifests, or of the layout that is kept.
"""

import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec

from homeport.domain.errors import HomeportError
from homeport.domain.weight_layouts import LayoutBenchmarkEvent, LayoutBenchmarkJob, Trial
from homeport.engines.llama.library import LlamaLibrary, kernels
from homeport.engines.text import executor_comparison
from homeport.engines.text.executors.llama import executor as llama
from homeport.engines.text.executors.llama.executor import LlamaExecutor
from homeport.engines.text.executors.llama.requantize import TYPES, requantize

_SEQUENCES = 16


def run_benchmark(job: LayoutBenchmarkJob, report: Callable[[str], None]) -> tuple[Trial, ...]:
    """Write every layout to its part file and compare it with the original.

    All speeds are measured first. Then the faster layouts are scored, the fastest first, until one has no measurable
    loss. With `job.layout` only that one is tried, and it is scored whatever its speed.
    """
    library = _kernels(job)
    names = [job.layout] if job.layout else [name for name in TYPES if name != "bf16" or "BF16" in library.features]
    original = _load(job, Path(job.source))
    try:
        trials = [_measure_speed(job, name, original, report) for name in names]
        trials.sort(key=lambda trial: trial.gain, reverse=True)
        wanted = [trial for trial in trials if trial.is_faster or job.layout or job.is_complete]
        if not wanted:
            return tuple(trials)
        report("Scoring the reference texts with the original weights")
        windows = executor_comparison.reference_windows(original)
        before = [executor_comparison.score_window(original, window) for window in windows]
    finally:
        original.close()
    scored_trials = {}
    for trial in wanted:
        scored_trials[trial.layout] = scored = _measure_fidelity(job, trial, before, windows)
        report(str(scored))
        if scored.is_faithful and not job.is_complete:
            break
    return tuple(scored_trials.get(trial.layout, trial) for trial in trials)


def _measure_speed(job: LayoutBenchmarkJob, name: str, original: LlamaExecutor, report: Callable[[str], None]) -> Trial:
    part = job.part(name)
    requantize(_kernels(job), Path(job.source), part, name)
    candidate = _load(job, part)
    try:
        speeds = executor_comparison.measure_speeds({"original": original, name: candidate}, job.rounds)
    finally:
        candidate.close()
    trial = Trial(name, speeds[name], speeds["original"], part.stat().st_size)
    report(str(trial))
    return trial


def _measure_fidelity(
    job: LayoutBenchmarkJob, trial: Trial, before: list[executor_comparison.WindowScores], windows: list[list[int]]
) -> Trial:
    candidate = _load(job, job.part(trial.layout))
    try:
        fidelity = executor_comparison.measure_fidelity(before, candidate, windows)
        return msgspec.structs.replace(trial, fidelity=fidelity)
    finally:
        candidate.close()


def _kernels(job: LayoutBenchmarkJob) -> LlamaLibrary:
    return kernels(Path(job.library) if job.library else None)


def _load(job: LayoutBenchmarkJob, weights: Path) -> LlamaExecutor:
    options = llama.LlamaOptions(
        window=executor_comparison.WINDOW,
        cells=2 * executor_comparison.WINDOW,
        sequences=_SEQUENCES,
        batch=executor_comparison.WINDOW,
        threads=job.threads,
        library=Path(job.library) if job.library else None,
        gpu_layers=job.gpu_layers,
    )
    return llama.load(weights, options)


def _end_with_parent(job: LayoutBenchmarkJob) -> None:
    """Delete unfinished files and exit as soon as standard input ends."""
    sys.stdin.buffer.read()
    for name in TYPES:
        job.part(name).unlink(missing_ok=True)
    os._exit(1)


def _print_event(event: LayoutBenchmarkEvent) -> None:
    sys.stdout.write(msgspec.json.encode(event).decode() + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    try:
        job = msgspec.json.decode(sys.argv[1], type=LayoutBenchmarkJob)
        threading.Thread(target=_end_with_parent, args=(job,), daemon=True).start()
        trials = run_benchmark(job, lambda text: _print_event(LayoutBenchmarkEvent(text)))
        library = _kernels(job)
        machine = ", ".join(map(str, library.devices))
        _print_event(LayoutBenchmarkEvent(kernels=str(library), machine=machine, trials=trials))
    except HomeportError as error:
        sys.exit(error.message)
