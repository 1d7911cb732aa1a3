"""The reverb: convolution with a synthetic impulse response, one block after another. Knows nothing of notes."""

from functools import cache

import numpy as np
import numpy.typing as npt

from homeport.engines.music.sampler.instruments import RATE, Samples

LENGTH_S = 1.5
"""How long the reverb sounds after its input ends, in seconds."""
_LENGTH = int(LENGTH_S * RATE)
_DELAY_S = 0.012
# Upper limits of bands in Hz, and the times in seconds in which each falls by 60 dB: high tones die away sooner, and
# low ones hardly enter, because they blur the bass.
_BANDS = ((180.0, 0.5), (900.0, 1.3), (3000.0, 1.2), (7000.0, 0.8), (22_050.0, 0.4))
_LEVELS = (0.15, 1.0, 1.0, 0.7, 0.35)
_SEED = 1


class Reverb:
    """Convolves one stream of sound, in blocks of any length; the result does not depend on where they join."""

    def __init__(self) -> None:
        self._tail: npt.NDArray[np.float32] = np.zeros((_LENGTH, 2), np.float32)

    def next(self, block: Samples) -> Samples:
        """Return the reverb, [samples, 2], during the next samples, [samples]. Nothing is delayed."""
        size = _fast_size(len(block) + _LENGTH)
        spectrum = np.fft.rfft(block, size)
        sides = [np.fft.irfft(spectrum * response, size) for response in _responses(size)]
        wet: npt.NDArray[np.float32] = np.stack(sides, axis=1)[: len(block) + _LENGTH].astype(np.float32)
        wet[:_LENGTH] += self._tail
        self._tail = wet[len(block) :]
        return wet[: len(block)]


@cache
def impulse_responses() -> npt.NDArray[np.float32]:
    """Return the impulse responses of the left and the right side, [2, samples], each of energy 1."""
    noise = np.random.default_rng(_SEED).standard_normal((2, _LENGTH))
    spectrum = np.fft.rfft(noise)
    frequencies = np.fft.rfftfreq(_LENGTH, 1 / RATE)
    times = np.arange(_LENGTH) / RATE
    response = np.zeros((2, _LENGTH))
    low = 0.0
    for (high, fall_s), level in zip(_BANDS, _LEVELS, strict=True):
        band = np.fft.irfft(spectrum * ((frequencies >= low) & (frequencies < high)), _LENGTH)
        response += level * band * 10 ** (-3 * times / fall_s)
        low = high
    rise = np.clip((times - _DELAY_S) / 0.01, 0, 1)
    end = np.clip((LENGTH_S - times) / 0.1, 0, 1)
    response *= rise * end
    normalized: npt.NDArray[np.float32] = (response / np.sqrt(np.sum(response**2, axis=1))[:, None]).astype(np.float32)
    return normalized


@cache
def _responses(size: int) -> npt.NDArray[np.complex64]:
    return np.fft.rfft(impulse_responses(), size).astype(np.complex64)


def _fast_size(minimum: int) -> int:
    """Return the smallest size from `minimum` on that is 2**n, 3 * 2**n or 5 * 2**n, which are transformed fast."""
    power = 1 << (minimum - 1).bit_length()
    return min(size for size in (power, power * 3 // 4, power * 5 // 8) if size >= minimum)
