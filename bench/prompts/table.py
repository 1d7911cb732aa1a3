"""The tables of the comparison, as Markdown. Pure."""

import math
from collections.abc import Sequence

import msgspec
import numpy as np

from bench.prompts.cpu_peak import Peak
from bench.prompts.model_weights import Shape
from bench.prompts.way import Load, Outcome, Way


class Result(msgspec.Struct, frozen=True):
    """A way and its outcome, or why there is none."""

    way: Way
    outcome: Outcome | None
    reason: str = ""


def peaks(peak: Peak) -> list[str]:
    """Return the lines of the table of peaks."""
    lines = [
        f"Peak of {peak.threads} threads at {peak.clock_hz / 1e9:.1f} GHz:",
        "",
        "| numbers | operations per cycle and core | computed GFLOP/s | a plain matrix product, measured |",
        "|---|---|---|---|",
    ]
    for numbers, computed in peak.computed.items():
        measured = peak.measured.get(numbers)
        reached = f"{measured / 1e9:,.0f} ({measured / computed:.0%})" if measured and computed else "–"
        lines.append(f"| {numbers} | {peak.per_cycle[numbers]:.0f} | {computed / 1e9:,.0f} | {reached} |")
    return lines


def speeds(results: Sequence[Result], loads: Sequence[Load], peak: Peak, shape: Shape) -> list[str]:
    """Return the lines of the table of ways. The first result is the reference of the logits.

    A cell is prompt tokens per second and their share of the peak of the way's own numbers.
    """
    titles = [*(f"{load} tokens" for load in loads), "start s", "MB at start, at most", "logits", "busy"]
    lines = ["| prompt tokens/s (of peak) | " + " | ".join(titles) + " |", "|---" * (1 + len(titles)) + "|"]
    reference = results[0].outcome
    for result in results:
        if result.outcome is None:
            lines.append(f"| {result.way.name} | not measured: {result.reason} |" + " |" * (len(titles) - 1))
            continue
        cells = _cells(result.way, result.outcome, loads, peak, shape)
        difference = f"{logit_difference(result.outcome, reference):.1%}" if reference else "–"
        lines.append(
            "| " + " | ".join([result.way.name, *cells, difference, f"{result.outcome.busy(peak.threads):.0%}"]) + " |"
        )
    return lines


def _cells(way: Way, outcome: Outcome, loads: Sequence[Load], peak: Peak, shape: Shape) -> list[str]:
    cells = []
    for load, seconds in zip(loads, outcome.seconds, strict=True):
        speed = load.tokens / seconds
        share = f" ({speed / peak.tokens_per_s(shape, load, way):.0%})" if peak.clock_hz else ""
        cells.append(f"{speed:,.0f}{share}")
    ready, highest = ((size - outcome.idle_bytes) / 1e6 for size in (outcome.ready_bytes, outcome.peak_bytes))
    return [*cells, f"{outcome.start_s:.1f}", f"{ready:,.0f}, {highest:,.0f}"]


def logit_difference(outcome: Outcome, reference: Outcome) -> float:
    """Return the root mean square of the differences of logits, divided by the standard deviation of the reference's.

    Each row is compared without its mean, which changes no probability.
    """
    ours, theirs = (np.array(each.logits) for each in (outcome, reference))
    ours, theirs = (each - each.mean(axis=1, keepdims=True) for each in (ours, theirs))
    return math.sqrt(float(((ours - theirs) ** 2).mean() / (theirs**2).mean()))
