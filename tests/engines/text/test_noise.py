"""Noise is a pure function of what it is for, and looks like noise."""

import numpy as np

from homeport.engines.text import noise


def test_same_purpose_same_noise() -> None:
    """The noise of a token does not depend on which other tokens are asked for with it."""
    draw = noise.key(7, 1, 20)
    everything = noise.gumbel(draw, np.arange(1000))
    few = noise.gumbel(draw, np.array([999, 3, 512]))
    assert few.tolist() == everything[[999, 3, 512]].tolist()


def test_each_part_of_the_purpose_counts() -> None:
    """Seed, choice and position each change the key, and are not interchangeable."""
    parts = [
        (seed, choice, position) for seed in (-1, 0, 1, 2**63 + 5) for choice in range(4) for position in range(50)
    ]
    assert len({noise.key(*part) for part in parts}) == len(parts)


def test_noise_has_gumbels_moments() -> None:
    """Over many tokens and positions mean and variance are those of the standard Gumbel distribution."""
    sample = np.concatenate([noise.gumbel(noise.key(3, 0, position), np.arange(1000)) for position in range(200)])
    assert np.isfinite(sample).all()
    assert abs(sample.mean() - np.euler_gamma) < 0.01
    assert abs(sample.var() - np.pi**2 / 6) < 0.02


def test_neighbouring_draws_are_uncorrelated() -> None:
    """The noise of one token at neighbouring positions and choices has no linear relation."""
    ids = np.arange(20_000)
    here = noise.gumbel(noise.key(3, 0, 5), ids)
    for other in (noise.key(3, 0, 6), noise.key(3, 1, 5), noise.key(4, 0, 5)):
        assert abs(np.corrcoef(here, noise.gumbel(other, ids))[0, 1]) < 0.03
