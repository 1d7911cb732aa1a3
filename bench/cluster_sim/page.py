"""The results on disk, and the part of docs/cluster.md that is made from them."""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from bench.cluster_sim import plot, report
from bench.cluster_sim.cells import Result

RESULTS = Path(__file__).parent / "results.json"
DOCS = Path(__file__).parents[2] / "docs"
PAGE, PLOT = DOCS / "cluster.md", DOCS / "cluster-routing.svg"
PLOT_LOAD = 0.6
BEGIN, END = "<!-- Made by `python -m bench.cluster_sim --render`. -->", "<!-- End of what is made. -->"


def save(results: Sequence[Result]) -> None:
    """Write the results, one a line."""
    RESULTS.write_text("[\n" + ",\n".join(msgspec.json.encode(each).decode() for each in results) + "\n]\n", "utf-8")


def load() -> list[Result]:
    """Read the results."""
    return msgspec.json.decode(RESULTS.read_bytes(), type=list[Result])


def render(text: str, results: Sequence[Result]) -> str:
    """Return the page with the tables of these results."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return "\n".join([before + BEGIN, "", *report.tables(results), "", END + after])


def write(results: Sequence[Result]) -> None:
    """Write the tables and the plot of the page."""
    PAGE.write_text(render(PAGE.read_text("utf-8"), results), "utf-8")
    PLOT.write_text(plot.svg(results, PLOT_LOAD), "utf-8")
