"""The walk from noise to a picture's latents, whole or only inside a hole. Knows nothing of pixels."""

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
    """`steps` from noise to picture. `start`: latents of a picture, `hole` (8 x 8): where alone to paint in it.

    `wanted`: the caption's vector, None for no caption; `unwanted`: the vector to move away from. `style`: the manner
    to paint in.
    """

    steps: int
    guidance: float
    seed: int
    positive_vector: Floats | None
    negative_vector: Floats | None = None
    initial_latents: Floats | None = None
    mask: NDArray[np.bool_] | None = None
    style: int = STYLES[0]


def sample_latents(networks: ClipartModel, route: FlowSamplerParams) -> Iterator[Floats]:
    """The latents that the picture is headed for (LATENT), after each step; the last ones are the picture."""
    noise = np.random.default_rng(route.seed).standard_normal(LATENT).astype(np.float32)
    x = noise
    times = np.linspace(0, 1, route.steps + 1)
    for now, then in pairwise(times.tolist()):
        velocity = _guided_velocity(networks, x, now, route)
        headed = x + np.float32(1 - now) * velocity
        x = x + np.float32(then - now) * velocity
        if route.mask is not None and route.initial_latents is not None:
            x = np.where(route.mask, x, np.float32(1 - then) * noise + np.float32(then) * route.initial_latents)
            headed = np.where(route.mask, headed, route.initial_latents)
        yield x if then == 1 else headed


def _guided_velocity(networks: ClipartModel, x: Floats, time: float, route: FlowSamplerParams) -> Floats:
    """The velocity with the caption, pushed away from the one without it (or from what is unwanted)."""
    blank = np.zeros(384, np.float32)
    if route.positive_vector is None:
        return np.asarray(networks.velocity(x[None], time, blank[None], np.zeros(1, np.float32), route.style)[0])
    against = blank if route.negative_vector is None else route.negative_vector
    told = np.array([1, 0 if route.negative_vector is None else 1], np.float32)
    vectors = np.stack([route.positive_vector, against])
    shown, other = networks.velocity(np.stack([x, x]), time, vectors, told, route.style)
    return np.asarray(other + np.float32(route.guidance) * (shown - other))
