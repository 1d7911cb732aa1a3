"""When background work may run, without any work."""

from hypothesis import given
from hypothesis import strategies as st

from homeport.serving.idle_gate import IdleGatePolicy
from tests.fake_clock import FakeClock

SETTLE_S, PATIENCE_S, TURN_S = 0.5, 5.0, 1.0


def made() -> tuple[IdleGatePolicy, FakeClock]:
    clock = FakeClock(100.0)
    return IdleGatePolicy(SETTLE_S, PATIENCE_S, TURN_S, clock), clock


def test_it_is_open_without_callers() -> None:
    """It is open at first, closed while a caller waits, and open again shortly after that caller left."""
    gate, clock = made()
    assert gate.state() == (True, None)
    gate.on_request()
    clock.now += 1000
    assert gate.state() == (False, None)
    gate.on_finished(was_answered=False)
    assert gate.state() == (False, SETTLE_S)
    clock.now += SETTLE_S
    assert gate.state() == (True, None)


def test_long_answers_do_not_keep_it_closed() -> None:
    """While a caller is being answered it opens for one slice after each long closed period."""
    gate, clock = made()
    gate.on_request()
    clock.now += 1
    gate.on_first_event()
    assert gate.state() == (False, PATIENCE_S - 1)
    clock.now += PATIENCE_S - 1
    for _ in range(3):
        assert gate.state() == (True, TURN_S)
        clock.now += TURN_S
        assert gate.state() == (False, PATIENCE_S)
        clock.now += PATIENCE_S


def test_a_caller_closes_it() -> None:
    """It closes at once for a caller that waits, and then for the full period."""
    gate, clock = made()
    gate.on_request()
    gate.on_first_event()
    clock.now += PATIENCE_S
    assert gate.is_open
    gate.on_request()
    assert not gate.is_open
    gate.on_first_event()
    assert gate.state() == (False, PATIENCE_S)
    gate.on_finished(was_answered=True)
    gate.on_finished(was_answered=True)
    assert gate.state() == (False, SETTLE_S)


@given(st.lists(st.tuples(st.sampled_from(["arrive", "answer", "leave", "depart", "pass"]), st.floats(0, 4))))
def test_no_caller_waits_while_it_is_open(steps: list[tuple[str, float]]) -> None:
    """In any sequence it is never open while a caller waits, and opens in time when none does."""
    gate, clock = made()
    waiting = answered = 0
    for what, passed_s in steps:
        clock.now += passed_s
        if what == "arrive":
            gate.on_request()
            waiting += 1
        elif what == "answer" and waiting:
            gate.on_first_event()
            waiting, answered = waiting - 1, answered + 1
        elif what == "leave" and answered:
            gate.on_finished(was_answered=True)
            answered -= 1
        elif what == "depart" and waiting:
            gate.on_finished(was_answered=False)
            waiting -= 1
        changes_in_s = gate.state().changes_in_s
        assert not (waiting and gate.is_open)
        assert (changes_in_s is None) == bool(waiting or (gate.is_open and not answered))
        if changes_in_s is not None and not gate.is_open:
            assert changes_in_s <= (PATIENCE_S if answered else SETTLE_S)
            clock.now += changes_in_s + 1e-6
            assert gate.is_open


def test_it_always_opens_if_some_caller_always_waits() -> None:
    """With `always_opens` the slices come while callers wait, and new callers neither shorten nor delay them."""
    clock = FakeClock(100.0)
    gate = IdleGatePolicy(SETTLE_S, PATIENCE_S, TURN_S, clock, always_opens=True)
    gate.on_request()
    assert gate.state() == (False, PATIENCE_S)
    clock.now += PATIENCE_S
    gate.on_request()
    assert gate.state() == (True, TURN_S)
    clock.now += TURN_S
    assert gate.state() == (False, PATIENCE_S)
    gate.on_finished(was_answered=False)
    gate.on_finished(was_answered=False)
    clock.now += SETTLE_S
    assert gate.state() == (True, None)
