"""The reverb."""

import numpy as np

from homeport.engines.music.sampler.instruments import RATE
from homeport.engines.music.sampler.reverb import LENGTH_S, Reverb, impulse_responses


def test_an_impulse_gives_the_response() -> None:
    """An impulse's reverb is the impulse response, also when it goes on into later blocks."""
    impulse = np.zeros(1000, np.float32)
    impulse[0] = 1
    reverb = Reverb()
    length = int(LENGTH_S * RATE)
    sound = np.concatenate([reverb.next(impulse), reverb.next(np.zeros(length, np.float32))])
    np.testing.assert_allclose(sound[:length], impulse_responses().T, atol=1e-5)
    assert not np.any(np.abs(sound[length:]) > 1e-5)


def test_it_dies_away() -> None:
    """The response's last tenth of a second is 40 dB below its first half second, and its sides differ."""
    left, right = impulse_responses().astype(np.float64)
    assert np.sqrt(np.mean(left[: RATE // 2] ** 2)) > 100 * np.sqrt(np.mean(left[-RATE // 10 :] ** 2))
    assert abs(np.corrcoef(left, right)[0, 1]) < 0.1
