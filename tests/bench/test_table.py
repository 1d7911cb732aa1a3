import math

from bench import table
from bench.row import Row, unmeasured
from bench.run_stats import Outcome

MET = Row("4 streams", "peer", "tok/s", 120.0, 100.0, 1.1, floor=300.0)
CAPPED = Row("16 streams", "peer", "tok/s", 100.0, 100.0, 1.2, floor=110.0, note="cold")
ALONE = Row("memory", "–", "MB", 80.4, None, 120.0, at_most=True)
ABSENT = unmeasured("16 streams", "vLLM", 1.2, "not installed")


def test_rows_show_figures_ratio_target_and_verdict() -> None:
    """A row is one line of Markdown with figures, ratio, target and verdict."""
    lines = table.targets([MET, CAPPED, ALONE, ABSENT])
    assert lines[2] == "| 4 streams | peer | 120 tok/s | 100 tok/s | 1.20 | ≥ 1.10 | met |  |"
    assert lines[3].startswith("| 16 streams | peer | 100 tok/s | 100 tok/s | 1.00 | ≥ 1.04 | not met | 1.2 is above")
    assert lines[3].endswith("0.95 of the floor instead; cold |")
    assert lines[4] == "| memory | – | 80.4 MB | – | – | ≤ 120 MB | met |  |"
    assert lines[5] == "| 16 streams | vLLM | – | – | – | ≥ 1.20 | not measured | not installed |"


def test_the_summary_counts_verdicts() -> None:
    """The summary counts targets that are met, not met and not measured."""
    assert table.summary([MET, CAPPED, ALONE, ABSENT]) == "2 met, 1 not met, 1 not measured."


def test_the_readmes_table_hides_no_failure() -> None:
    """The README's table omits rows that were not measured and marks missed targets."""
    lines = table.readme([MET, CAPPED, ALONE, ABSENT], "a machine")
    assert lines[0] == "a machine"
    assert lines[4:] == [
        "| 4 streams | peer | 1.20 | ≥ 1.10 |",
        "| 16 streams | peer | 1.00 | ≥ 1.04, not met |",
        "| memory | – | 80.4 MB | ≤ 120 MB |",
    ]


def test_details_show_every_round() -> None:
    """A median is followed by its values; a floor without pieces has none."""
    runs = [Outcome(1.0, tokens, 1, [0.5], [0.1], deltas=0, client_cpu_s=0.02) for tokens in (100, 110, 90)]
    line = table.details({"4 streams": {"floor": runs}})[2]
    assert line == (
        "| 4 streams | floor | 100.0 (100.0, 110.0, 90.0) | 500 / 500 | 100.0 / 100.0 | – | 3 | 2.0% | 0.0% |"
    )
    assert math.isnan(ABSENT.ours)
