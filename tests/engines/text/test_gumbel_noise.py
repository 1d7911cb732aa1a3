"""Noise is a pure function of its key and token, and has the Gumbel distribution."""

import numpy as np

from homeport.engines.text import gumbel_noise


def test_same_purpose_same_noise() -> None:
    """The noise of a token does not depend on the other tokens of the call."""
    key = gumbel_noise.key(7, 1, 20)
    all_noise = gumbel_noise.gumbel(key, np.arange(1000))
    some_noise = gumbel_noise.gumbel(key, np.array([999, 3, 512]))
    assert some_noise.tolist() == all_noise[[999, 3, 512]].tolist()


def test_each_part_of_the_purpose_counts() -> None:
    """Seed, choice and position each change the key, and are not interchangeable."""
    parts = [
        (seed, choice, position) for seed in (-1, 0, 1, 2**63 + 5) for choice in range(4) for position in range(50)
    ]
    assert len({gumbel_noise.key(*part) for part in parts}) == len(parts)


def test_noise_has_gumbels_moments() -> None:
    """Over many tokens and positions mean and variance are those of the standard Gumbel distribution."""
    sample = np.concatenate(
        [gumbel_noise.gumbel(gumbel_noise.key(3, 0, position), np.arange(1000)) for position in range(200)]
    )
    assert np.isfinite(sample).all()
    assert abs(sample.mean() - np.euler_gamma) < 0.01
    assert abs(sample.var() - np.pi**2 / 6) < 0.02


def test_adjacent_keys_are_uncorrelated() -> None:
    """The noise of one token at adjacent positions and choices is uncorrelated."""
    ids = np.arange(20_000)
    reference = gumbel_noise.gumbel(gumbel_noise.key(3, 0, 5), ids)
    for other in (gumbel_noise.key(3, 0, 6), gumbel_noise.key(3, 1, 5), gumbel_noise.key(4, 0, 5)):
        assert abs(np.corrcoef(reference, gumbel_noise.gumbel(other, ids))[0, 1]) < 0.03
