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


def test_only_a_client_that_reads_nothing_is_behind() -> None:
    """Only a client that reads nothing of what is buffered is behind, however much is added."""
    progress = ResponseProgress(now=0)
    assert progress.measure_stall_s(5, unsent=0) == 0
    progress.n_written = 100
    assert progress.measure_stall_s(6, unsent=100) == 1
    progress.n_written = 300
    assert progress.measure_stall_s(8, unsent=300) == 3
    assert progress.measure_stall_s(9, unsent=250) == 0
    assert progress.measure_stall_s(12, unsent=250) == 3
    assert progress.measure_stall_s(13, unsent=0) == 0
