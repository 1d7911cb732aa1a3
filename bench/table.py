"""Rows as Markdown: the table of targets, the table of details, and the README's table. Pure."""

import math
from collections.abc import Iterable, Mapping, Sequence

from bench import run_stats
from bench.rounds import Runs
from bench.row import Row


def targets(rows: Iterable[Row]) -> list[str]:
    """The table of targets, one line per row."""
    lines = ["| work | against | ours | theirs | ratio | target | verdict | |", "|---|---|---|---|---|---|---|---|"]
    for row in rows:
        ours, theirs = _amount(row.ours, row.unit), _amount(row.theirs, row.unit)
        ratio = "–" if row.theirs is None or math.isnan(row.value) else f"{row.value:.2f}"
        lines.append(_line(row.work, row.against, ours, theirs, ratio, _target(row), row.verdict, _note(row)))
    return lines


def details(runs_by_load: Mapping[str, Runs]) -> list[str]:
    """The table of details: every side of every load, with medians over its rounds."""
    lines = [
        "| load | side | tok/s (each round) | TTFT p50 / p99 ms | gap p50 / p99 ms | tokens per piece | errors "
        "| generator's CPU | other programs |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for load, sides in runs_by_load.items():
        for side, runs in sides.items():
            each = ", ".join(f"{run.tokens_per_s:.1f}" for run in runs)
            pieces = run_stats.median(run.output_tokens / run.deltas if run.deltas else math.nan for run in runs)
            lines.append(
                _line(
                    load,
                    side,
                    f"{run_stats.speed(runs):.1f} ({each})",
                    f"{run_stats.ttft(runs) * 1e3:.0f} / {run_stats.ttft(runs, 0.99) * 1e3:.0f}",
                    f"{run_stats.gap(runs, 0.5) * 1e3:.1f} / {run_stats.gap(runs, 0.99) * 1e3:.1f}",
                    _plain(pieces, "{:.2f}"),
                    str(sum(run.errors for run in runs)),
                    f"{run_stats.median(run.client_cpu_s / run.wall_s for run in runs):.1%}",
                    f"{run_stats.median(run.others for run in runs):.1%}",
                )
            )
    return lines


def readme(rows: Iterable[Row], heading: str) -> list[str]:
    """The README's table: work, ratio, and whether the target is met."""
    lines = [f"{heading}", "", "| work | against | ours / theirs | target |", "|---|---|---|---|"]
    for row in rows:
        if row.verdict != "not measured":
            figure = _amount(row.ours, row.unit) if row.theirs is None else f"{row.value:.2f}"
            missed = "" if row.verdict == "met" else ", not met"
            lines.append(_line(row.work, row.against, figure, f"{_target(row)}{missed}"))
    return lines


def summary(rows: Sequence[Row]) -> str:
    """The number of targets met, as a sentence."""
    count = {verdict: sum(row.verdict == verdict for row in rows) for verdict in ("met", "not met", "not measured")}
    return f"{count['met']} met, {count['not met']} not met, {count['not measured']} not measured."


def _line(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"


def _plain(value: float, form: str) -> str:
    return "–" if math.isnan(value) else form.format(value)


def _amount(value: float | None, unit: str) -> str:
    if value is None or math.isnan(value):
        return "–"
    return f"{value:.0f} {unit}" if value >= 100 else f"{value:.1f} {unit}"


def _target(row: Row) -> str:
    sign = "≤" if row.at_most else "≥"
    limit = f"{row.bar:.2f}" if row.theirs is not None else f"{row.bar:g} {row.unit}"
    return f"{sign} {limit}"


def _note(row: Row) -> str:
    capped = f"{row.target:g} is above what the bare kernels reach: 0.95 of the floor instead" if row.is_capped else ""
    return "; ".join(part for part in (capped, row.note) if part)
