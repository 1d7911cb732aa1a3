"""Stateless random numbers for sampling: each is a hash of its purpose.

The noise of one token depends only on (seed, choice, position, token), so neither the other rows of a batch nor the
order of computing can change it. The mixer is the finalizer of SplitMix64 (Steele, Lea and Flood, "Fast splittable
pseudorandom number generators", 2014). Knows nothing of logits.
"""

import numpy as np
from numpy.typing import NDArray

_MASK = (1 << 64) - 1
_STEP = 0x9E3779B97F4A7C15
_MULTIPLIERS = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)


def key(seed: int, choice: int, position: int) -> int:
    """Return the 64-bit key of one sampled token. All integers, also negative ones, are taken modulo 2**64."""
    mixed = 0
    for part in (seed, choice, position):
        mixed = _mix(mixed + part + _STEP)
    return mixed


def gumbel(key: int, ids: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return standard Gumbel noise for each id under a key; shape as `ids`, always finite."""
    state = (ids.astype(np.uint64) + np.uint64(1)) * np.uint64(_STEP) + np.uint64(key)
    state ^= state >> np.uint64(30)
    state *= np.uint64(_MULTIPLIERS[0])
    state ^= state >> np.uint64(27)
    state *= np.uint64(_MULTIPLIERS[1])
    state ^= state >> np.uint64(31)
    # 52 bits and a half: the largest value below 1 is then representable as float64, so no logarithm is of 0.
    uniform = ((state >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52
    return -np.log(-np.log(uniform))


def _mix(value: int) -> int:
    value &= _MASK
    value = ((value ^ (value >> 30)) * _MULTIPLIERS[0]) & _MASK
    value = ((value ^ (value >> 27)) * _MULTIPLIERS[1]) & _MASK
    return value ^ (value >> 31)
