"""The results as Markdown. Pure."""

from collections.abc import Callable, Sequence
from typing import get_args

from bench.cluster_sim import comparison
from bench.cluster_sim.cells import POLICIES, Result, mean
from bench.cluster_sim.figures import Figures

_COLUMNS: dict[str, Callable[[Figures], str]] = {
    "hit rate": lambda each: f"{each.hit_rate:.2f}",
    "queueing p99, s": lambda each: f"{each.queue_p99_s:.1f}",
    "TTFT p50, s": lambda each: f"{each.ttft_p50_s:.1f}",
    "TTFT p99, s": lambda each: f"{each.ttft_p99_s:.1f}",
}


def tables(results: Sequence[Result]) -> list[str]:
    """Return the tables of steady traffic, of events and of the comparisons."""
    steady = [each for each in results if not each.event]
    events = [each for each in results if each.event]
    order = " / ".join(POLICIES)
    lines = [f"Each cell: {order}; means over the seeds.", ""]
    lines += _table(steady, ("replicas", "load"), lambda each: (str(each.replicas), f"{each.load:g}"))
    if events:
        lines += ["", "The minute after an event, at a load of 0.6 before it:", ""]
        lines += _table(events, ("event",), lambda each: (each.event,))
    return [*lines, "", "The router in each cell with each seed, on hit rate and p99 queueing:", "", *verdicts(results)]


def row(results: Sequence[Result]) -> str:
    """Return the cells of the figures of one scenario's results."""
    figures = {name: mean([each.figures for each in results if each.policy == name]) for name in POLICIES}
    columns = (" / ".join(show(figures[name]) for name in POLICIES) for show in _COLUMNS.values())
    return " | ".join((*columns, f"{figures['router'].requests:,}"))


def verdicts(results: Sequence[Result]) -> list[str]:
    """Return the table of how often the router got which verdict."""
    names = get_args(comparison.Verdict)
    lines = [_line("against", *names), _line(*["---"] * (len(names) + 1))]
    for policy, counts in comparison.count(results).items():
        lines.append(_line(policy, *(str(counts[name]) for name in names)))
    return lines


def _table(results: Sequence[Result], heads: tuple[str, ...], labels: Callable[[Result], tuple[str, ...]]) -> list[str]:
    lines = [_line(*heads, *_COLUMNS, "requests"), _line(*["---"] * (len(heads) + len(_COLUMNS) + 1))]
    for label in dict.fromkeys(map(labels, results)):
        lines.append(_line(*label, row([each for each in results if labels(each) == label])))
    return lines


def _line(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"
