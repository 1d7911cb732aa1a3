"""The rates below which a client is too slow."""

from homeport.api.http.transfer_rates import BodyRate, ResponseProgress


def test_a_rate_is_averaged() -> None:
    """A body at its rate may pause for the grace time; arriving faster before does not extend it."""
    upload = BodyRate(rate=100, grace_s=10, now=0)
    upload.n_new = 1_000_000
    assert not upload.is_too_slow(1, is_paused=False)
    assert not upload.is_too_slow(10, is_paused=False)
    upload.n_new = 100
    assert not upload.is_too_slow(12, is_paused=False)
    assert upload.is_too_slow(13, is_paused=False)


def test_time_that_is_ours_does_not_count() -> None:
    """While the server does not read, no client is too slow."""
    upload = BodyRate(rate=100, grace_s=10, now=0)
    assert not upload.is_too_slow(1000, is_paused=True)
    assert not upload.is_too_slow(1009, is_paused=False)


def test_a_reader_that_takes_anything_is_there() -> None:
    """Only a client that reads nothing of what is buffered is behind, however much is added."""
    delivery = ResponseProgress(now=0)
    assert delivery.look(5, unsent=0) == 0
    delivery.n_written = 100
    assert delivery.look(6, unsent=100) == 1
    delivery.n_written = 300
    assert delivery.look(8, unsent=300) == 3
    assert delivery.look(9, unsent=250) == 0
    assert delivery.look(12, unsent=250) == 3
    assert delivery.look(13, unsent=0) == 0
