import math

import pytest

from bench.row import Row, unmeasured


def _row(ours: float, theirs: float | None, target: float, *, at_most: bool = False, floor: float | None = None) -> Row:
    return Row("work", "peer", "tok/s", ours, theirs, target, at_most=at_most, floor=floor)


@pytest.mark.parametrize(
    ("row", "verdict"),
    [
        (_row(12, 10, 1.2), "met"),
        (_row(11.9, 10, 1.2), "not met"),
        (_row(4, 10, 0.5, at_most=True), "met"),
        (_row(6, 10, 0.5, at_most=True), "not met"),
        (_row(29, None, 30, at_most=True), "met"),
        (_row(31, None, 30, at_most=True), "not met"),
        (_row(math.nan, 10, 1.0), "not measured"),
        (_row(10, 0, 1.0), "not measured"),
    ],
)
def test_verdicts(row: Row, verdict: str) -> None:
    """The ratio must reach the target or stay within it; without another figure, ours is compared itself."""
    assert row.verdict == verdict


def test_a_target_above_the_floor_becomes_its_share() -> None:
    """If the bare kernels reach 1.1 of the peer, a target of 1.2 becomes 0.95 of the floor."""
    row = _row(10.5, 10, 1.2, floor=11)
    assert row.is_capped
    assert row.bar == pytest.approx(0.95 * 1.1)
    assert row.verdict == "met"
    assert _row(10.4, 10, 1.2, floor=11).verdict == "not met"


def test_a_target_within_the_floor_stays() -> None:
    """A floor above the target, or none, changes nothing; neither does one of a row with `at_most`."""
    for row in (_row(11, 10, 1.2, floor=20), _row(11, 10, 1.2), _row(11, 10, 1.2, at_most=True, floor=1)):
        assert not row.is_capped
        assert row.bar == 1.2


def test_an_unmeasured_row_has_a_reason() -> None:
    """If a peer is not installed, the verdict is `not measured`."""
    row = unmeasured("work", "vLLM", 1.2, "not installed")
    assert row.verdict == "not measured"
    assert row.note == "not installed"
