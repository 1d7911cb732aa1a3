"""Samples images' latents from noise, all of them or only inside a mask. Knows nothing of pixels."""

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

    `positive_vectors` (n, 384): of one caption for each image, None for one image without; `negative_vector`: of the
    caption to avoid. `style`: one of STYLES.
    """

    steps: int
    guidance: float
    seed: int
    positive_vectors: Floats | None
    negative_vector: Floats | None = None
    initial_latents: Floats | None = None
    mask: NDArray[np.bool_] | None = None
    style: int = STYLES[0]


def sample_latents(networks: ClipartModel, params: FlowSamplerParams) -> Iterator[Floats]:
    """Iterate over the predicted latents (n, *LATENT) after each step; the last ones are the images'."""
    count = 1 if params.positive_vectors is None else len(params.positive_vectors)
    noise = np.random.default_rng(params.seed).standard_normal((count, *LATENT)).astype(np.float32)
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
    """Return the velocity with the captions, guided away from the one without (or with the negative caption)."""
    count, vectors = len(x), params.positive_vectors
    blank = np.zeros(384, np.float32)
    if vectors is None:
        return networks.velocity(x, time, np.tile(blank, (count, 1)), np.zeros(count, np.float32), params.style)
    negative = blank if params.negative_vector is None else params.negative_vector
    has_caption = np.repeat(np.array([1, 0 if params.negative_vector is None else 1], np.float32), count)
    both = np.concatenate([vectors, np.tile(negative, (count, 1))])
    with_caption, without = np.split(
        networks.velocity(np.concatenate([x, x]), time, both, has_caption, params.style), 2
    )
    return np.asarray(without + np.float32(params.guidance) * (with_caption - without))
