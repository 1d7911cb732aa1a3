"""Samples an image's latents from noise, all of them or only inside a mask. Knows nothing of pixels."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from homeport.engines.images.pipelines.clipart.networks import (
    LATENT,
    STYLES,
    ClipartModel,
    Floats,
)


@dataclass(frozen=True, slots=True)
class FlowSamplerParams:
    """`steps` from noise to image. `initial_latents` of a source image, with `mask` (8 x 8): where to sample.

    `positive_vector`: of the caption, None without one; `negative_vector`: of the caption to avoid. `style`: one of
    STYLES.
    """

    steps: int
    guidance: float
    seed: int
    positive_vector: Floats | None
    negative_vector: Floats | None = None
    initial_latents: Floats | None = None
    mask: NDArray[np.bool_] | None = None
    style: int = STYLES[0]


def sample_latents(networks: ClipartModel, params: FlowSamplerParams) -> Iterator[Floats]:
    """Iterate over the predicted latents of the image (LATENT) after each step; the last ones are the image's."""
    noise = np.random.default_rng(params.seed).standard_normal(LATENT).astype(np.float32)
    x = noise
    times = np.linspace(0, 1, params.steps + 1)
    for now, then in pairwise(times.tolist()):
        velocity = _guided_velocity(networks, x, now, params)
        predicted = x + np.float32(1 - now) * velocity
        x = x + np.float32(then - now) * velocity
        if params.mask is not None and params.initial_latents is not None:
            x = np.where(params.mask, x, np.float32(1 - then) * noise + np.float32(then) * params.initial_latents)
            predicted = np.where(params.mask, predicted, params.initial_latents)
        yield x if then == 1 else predicted


def _guided_velocity(networks: ClipartModel, x: Floats, time: float, params: FlowSamplerParams) -> Floats:
    """Return the velocity with the caption, guided away from the one without it (or with the negative caption)."""
    blank = np.zeros(384, np.float32)
    if params.positive_vector is None:
        return np.asarray(networks.velocity(x[None], time, blank[None], np.zeros(1, np.float32), params.style)[0])
    negative = blank if params.negative_vector is None else params.negative_vector
    has_caption = np.array([1, 0 if params.negative_vector is None else 1], np.float32)
    vectors = np.stack([params.positive_vector, negative])
    with_caption, without = networks.velocity(np.stack([x, x]), time, vectors, has_caption, params.style)
    return np.asarray(without + np.float32(params.guidance) * (with_caption - without))
