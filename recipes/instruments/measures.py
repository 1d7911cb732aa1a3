"""Measures of sound: level, brightness, pitch and clicks. Knows nothing of who made it."""

import math

import numpy as np
import numpy.typing as npt

Sound = npt.NDArray[np.float32]
_MAX_ERROR_CENTS = 80
_N_HARMONICS = 6
_HIGHEST_HZ = 9000
_PADDING = 8


def level_db(sound: Sound) -> float:
    """Return the root mean square in decibels below full scale; silence is -120."""
    power = float(np.mean(np.square(sound, dtype=np.float64)))
    return 10 * math.log10(max(power, 1e-12))


def centroid_hz(sound: Sound, rate: int) -> float:
    """Return the spectral centroid of mono sound, weighted by power's root: what one hears as brightness."""
    spectrum = np.abs(np.fft.rfft(sound))
    frequencies = np.fft.rfftfreq(len(sound), 1 / rate)
    return float(np.sum(frequencies * spectrum) / np.sum(spectrum))


def pitch_error_cents(sound: Sound, rate: int, key: int) -> int:
    """Return by how many cents mono sound is sharper than the MIDI key, of at most 80 either way.

    The pitch is that whose harmonics have the largest sum of magnitudes.
    """
    size = len(sound) * _PADDING
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound)), size))
    cents = np.arange(-_MAX_ERROR_CENTS, _MAX_ERROR_CENTS + 1)
    pitches = 440 * 2 ** ((key - 69) / 12 + cents / 1200)
    harmonics = [n for n in range(1, _N_HARMONICS + 1) if n == 1 or n * pitches[-1] < _HIGHEST_HZ]
    bins = np.arange(len(spectrum))
    sums = np.sum([np.interp(pitches * n * size / rate, bins, spectrum) for n in harmonics], axis=0)
    return int(cents[np.argmax(sums)])


def largest_step(sound: Sound) -> float:
    """Return the largest difference between neighbouring samples, which is large where there is a click."""
    return float(np.max(np.abs(np.diff(sound, axis=0))))
