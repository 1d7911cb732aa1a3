"""The bounded queue of requests."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.domain.errors import Overloaded
from homeport.serving.admission import Admission, AdmissionTicket


@given(st.integers(1, 4), st.integers(0, 4), st.lists(st.tuples(st.sampled_from("ab"), st.booleans(), st.integers(0))))
def test_never_more_than_the_limit(slots: int, max_queue: int, moves: list[tuple[str, bool, int]]) -> None:
    """In any order of admissions and releases a model's count is its live tickets, within limits."""
    admission = Admission(slots, max_queue, clock=lambda: 0.0)
    live: dict[str, list[AdmissionTicket]] = {"a": [], "b": []}
    left: list[AdmissionTicket] = []
    for model, enters, which in moves:
        inside = live[model]
        if not enters and inside:
            left.append(inside.pop(which % len(inside)))
            left[-1].release()
        elif not enters and left:
            left[which % len(left)].release()
        elif len(inside) < slots + max_queue:
            inside.append(admission.admit(model))
        else:
            with pytest.raises(Overloaded):
                admission.admit(model)
        assert admission.admitted_count(model) == len(inside) <= slots + max_queue
        assert admission.total == len(live["a"]) + len(live["b"])


def test_a_key_that_floods_a_model_does_not_keep_others_out() -> None:
    """While one key floods a model, another key's requests are admitted; each model has its own places."""
    admission = Admission(2, 6, clock=lambda: 0.0)
    admission.admit("m", "other").release()
    flood = [admission.admit("m", "flood") for _ in range(6)]
    with pytest.raises(Overloaded, match="for other keys"):
        admission.admit("m", "flood")
    admission.admit("m", "other")
    admission.admit("m", "")
    with pytest.raises(Overloaded, match="8 requests are already taken"):
        admission.admit("m", "other")
    assert [admission.admit("n", "flood") for _ in range(8)]
    flood[0].release()
    with pytest.raises(Overloaded):
        admission.admit("m", "flood")
    admission.admit("m", "other")


@given(st.lists(st.floats(0.0, 1e6), min_size=1, max_size=20))
def test_retry_after_follows_the_duration_of_requests(took_s: list[float]) -> None:
    """A refusal's time is between the shortest and the longest duration of requests, within 1 to 60 seconds."""
    now = 0.0
    admission = Admission(1, 0, clock=lambda: now)
    for each in took_s:
        ticket = admission.admit("m")
        now += each
        ticket.release()
    admission.admit("m")
    with pytest.raises(Overloaded) as caught:
        admission.admit("m")
    wait_s = caught.value.retry_after_s
    assert wait_s is not None
    slack = 1e-6 * now
    assert max(1.0, min(60.0, min(took_s) - slack)) <= wait_s <= min(60.0, max(1.0, max(took_s) + slack))


def test_several_workers_have_more_places() -> None:
    """Each worker of a model adds its slots to one queue; when a worker is gone, no place that is taken is lost."""
    admission = Admission(2, 1)
    tickets = [admission.admit("m", workers=2) for _ in range(5)]
    with pytest.raises(Overloaded):
        admission.admit("m", workers=2)
    tickets.append(admission.admit("m", workers=3))
    for ticket in tickets[:4]:
        with pytest.raises(Overloaded):
            admission.admit("m", workers=1)
        ticket.release()
    assert admission.admit("m", workers=1)
