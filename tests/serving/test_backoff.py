"""Pauses between attempts."""

from hypothesis import given
from hypothesis import strategies as st

from homeport.serving.backoff import Backoff


def test_pauses() -> None:
    """The first retry is immediate, later pauses double up to the limit, a success resets them."""
    backoff = Backoff(1.0, 5.0)
    assert [backoff.record_failure() for _ in range(5)] == [0.0, 1.0, 2.0, 4.0, 5.0]
    backoff.reset()
    assert backoff.failures == 0
    assert backoff.record_failure() == 0.0


@given(st.integers(1, 5000))
def test_pauses_never_pass_the_limit(failures: int) -> None:
    """However many failures in a row, the pause stays within the limit."""
    backoff = Backoff(0.5, 30.0)
    assert all(0.0 <= backoff.record_failure() <= 30.0 for _ in range(failures))
