"""The published results of the simulation, and the comparison of policies."""

from pathlib import Path
from xml.etree import ElementTree

import pytest

from bench.cluster_sim import comparison, page, plot, report
from bench.cluster_sim.cells import DURATIONS_S, LOADS, POLICIES, ROUTER, SEEDS, Result, run, steady
from bench.cluster_sim.figures import Figures

BASE = Figures(100, 0.5, 0.1, 2.0, 1.0, 3.0)


@pytest.mark.parametrize(
    ("hit_rate", "queue_p99_s", "verdict"),
    [
        (0.6, 1.0, "better on both"),
        (0.6, 2.05, "better on one"),
        (0.5, 1.0, "better on one"),
        (0.501, 1.95, "equal"),
        (0.6, 3.0, "better on one, worse on the other"),
        (0.4, 1.0, "better on one, worse on the other"),
        (0.5, 3.0, "lost"),
        (0.4, 2.0, "lost"),
        (0.4, 3.0, "lost"),
    ],
)
def test_policies_are_compared_on_two_figures(hit_rate: float, queue_p99_s: float, verdict: str) -> None:
    """Hit rate and p99 queueing decide, and small differences are none."""
    ours = BASE._replace(hit_rate=hit_rate, queue_p99_s=queue_p99_s)
    assert comparison.compare(ours, BASE) == verdict


def test_published_results_are_complete() -> None:
    """The results have every policy in every cell, from 1 to 1,000 replicas."""
    results = page.load()
    cells = {(each.replicas, each.load, each.seed) for each in results if not each.event}
    assert cells == {(*cell.scenario[:2], cell.scenario.seed) for cell in steady(DURATIONS_S, LOADS, SEEDS)}
    assert len(results) % len(POLICIES) == 0
    assert len({(each.event, each.replicas, each.load, each.seed, each.policy) for each in results}) == len(results)


def test_published_results_are_those_of_the_code() -> None:
    """Simulating a cell again gives what is published, for the router and for what it is compared with."""
    published = page.load()
    for cell in steady([4], [0.4], SEEDS[:1]):
        for policy in POLICIES:
            again = run(cell, policy)
            (found,) = (each for each in published if each[:5] == again[:5])
            assert found.figures == pytest.approx(again.figures)


def test_the_router_loses_in_no_published_cell_without_events() -> None:
    """In steady traffic, the router is worse on one figure only where it is better on the other."""
    counts = comparison.count(each for each in page.load() if not each.event)
    assert set(counts) == set(POLICIES) - {ROUTER}
    assert not [policy for policy, verdicts in counts.items() if verdicts["lost"]]


def test_the_page_is_fresh() -> None:
    """The tables and the plot of docs/cluster.md are made from the published results."""
    results = page.load()
    assert page.render(page.PAGE.read_text("utf-8"), results) == page.PAGE.read_text("utf-8")
    assert plot.svg(results, page.PLOT_LOAD) == page.PLOT.read_text("utf-8")


def test_a_page_keeps_what_is_around_the_tables() -> None:
    """Only what is between the marks is replaced."""
    text = f"before\n{page.BEGIN}\nold\n{page.END}\nafter\n"
    made = page.render(text, _results())
    assert made.startswith(f"before\n{page.BEGIN}\n")
    assert made.endswith(f"{page.END}\nafter\n")
    assert "old" not in made
    assert page.render(made, _results()) == made


def test_results_are_read_as_they_were_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Saved results are read again without loss."""
    monkeypatch.setattr(page, "RESULTS", tmp_path / "results.json")
    page.save(_results())
    assert page.load() == _results()


def test_tables_have_the_means_of_all_policies() -> None:
    """A row has a scenario's figures with each policy, and events have a table of their own."""
    lines = report.tables(_results())
    assert "| 4 | 0.6 | 0.60 / 0.60 / 0.60 / 0.60 | 2.0 / 2.0 / 2.0 / 2.0 | 1.0 / 1.0 / 1.0 / 1.0 |" in "\n".join(lines)
    assert "| 1 of 4 fails | 0.50 / 0.50 / 0.50 / 0.50 |" in "\n".join(lines)
    assert "| round robin | 0 | 0 | 4 | 0 | 0 |" in lines


def test_the_plot_has_a_line_for_each_policy() -> None:
    """The plot is valid XML, with the lines and the name of each policy in each panel."""
    root = ElementTree.fromstring(plot.svg(_results(), 0.6))  # noqa: S314 - our own text
    texts = [each.text for each in root.iter("{http://www.w3.org/2000/svg}text")]
    assert set(POLICIES) < set(texts)
    lines = [each for each in root.iter("{http://www.w3.org/2000/svg}path") if each.get("class") == "l"]
    assert len(lines) == len(POLICIES) * 3


def _results() -> list[Result]:
    """Return results of two numbers of replicas, of which one has two seeds, and of one event."""
    made = []
    for policy in POLICIES:
        made += [
            Result("", 4, 0.6, 1, policy, BASE),
            Result("", 4, 0.6, 2, policy, BASE._replace(hit_rate=0.7)),
            Result("", 16, 0.6, 1, policy, BASE),
            Result("1 of 4 fails", 4, 0.6, 1, policy, BASE),
        ]
    return made
