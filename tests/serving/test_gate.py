"""When background work may go on, without any work."""

from hypothesis import given
from hypothesis import strategies as st

from homeport.serving.gate import Gate

SETTLE_S, PATIENCE_S = 0.5, 5.0


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def made() -> tuple[Gate, Clock]:
    clock = Clock()
    return Gate(SETTLE_S, PATIENCE_S, clock), clock


def test_it_is_open_while_nobody_is_there() -> None:
    """It is open at first, shut while one waits, and open again a moment after that one left."""
    gate, clock = made()
    assert gate.is_open
    gate.arrive()
    clock.now += 1000
    assert (gate.is_open, gate.opens_in_s) == (False, None)
    gate.leave(was_answered=False)
    assert gate.opens_in_s == SETTLE_S
    clock.now += SETTLE_S
    assert gate.is_open


def test_long_answers_do_not_shut_it_for_good() -> None:
    """While one is being answered it opens after a while, until the next one waits; then for as long again not."""
    gate, clock = made()
    gate.arrive()
    clock.now += 1
    gate.answer()
    assert gate.opens_in_s == PATIENCE_S - 1
    clock.now += PATIENCE_S - 1
    assert gate.is_open
    gate.arrive()
    assert not gate.is_open
    gate.answer()
    assert gate.opens_in_s == PATIENCE_S
    gate.leave(was_answered=True)
    gate.leave(was_answered=True)
    assert gate.opens_in_s == SETTLE_S


@given(st.lists(st.tuples(st.sampled_from(["arrive", "answer", "leave", "depart", "pass"]), st.floats(0, 4))))
def test_nobody_waits_while_it_is_open(steps: list[tuple[str, float]]) -> None:
    """Whatever happens, it is never open while one waits, and opens in time when nobody does any more."""
    gate, clock = made()
    waiting = answered = 0
    for what, passed_s in steps:
        clock.now += passed_s
        if what == "arrive":
            gate.arrive()
            waiting += 1
        elif what == "answer" and waiting:
            gate.answer()
            waiting, answered = waiting - 1, answered + 1
        elif what == "leave" and answered:
            gate.leave(was_answered=True)
            answered -= 1
        elif what == "depart" and waiting:
            gate.leave(was_answered=False)
            waiting -= 1
        assert not (waiting and gate.is_open)
        opens_in_s = gate.opens_in_s
        assert (opens_in_s is None) == bool(waiting)
        if opens_in_s is not None:
            assert opens_in_s <= (PATIENCE_S if answered else SETTLE_S)
            clock.now += opens_in_s
            assert gate.is_open or gate.opens_in_s < 1e-9  # type: ignore[operator]
