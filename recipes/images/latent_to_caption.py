"""From an image's latents to the vector of a caption of it, for variations without a prompt.

Knows nothing of how it is trained.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from recipes.images.latents import CHANNELS, PLACES

_WIDTH = 768
_DIMENSIONS = 384


class Beholder(nn.Module):
    """Latents (n, CHANNELS, 8, 8) to vectors, (n, 384).

    It predicts the whitened caption and scales it to the usual length of whitened captions: otherwise an uncertain
    prediction would be short, and the draft would turn it into a blur. `scale`: the spread of latents, per channel.
    `back`: from whitened captions to caption vectors.
    """

    def __init__(self, components: int = 320) -> None:
        super().__init__()
        self.register_buffer("middle", torch.zeros(CHANNELS, PLACES, PLACES))
        self.register_buffer("scale", torch.ones(CHANNELS, 1, 1))
        self.register_buffer("mean", torch.zeros(_DIMENSIONS))
        self.register_buffer("back", torch.zeros(components, _DIMENSIONS))
        self.register_buffer("length", torch.ones(1))
        self.into = nn.Linear(CHANNELS * PLACES**2, _WIDTH)
        self.between = nn.Linear(_WIDTH, _WIDTH)
        self.out = nn.Linear(_WIDTH, components)

    middle: Tensor
    scale: Tensor
    mean: Tensor
    back: Tensor
    length: Tensor

    def forward(self, latents: Tensor) -> Tensor:
        """The predicted caption's vector."""
        return self.mean + self.length * self.directions(latents) @ self.back

    def directions(self, latents: Tensor) -> Tensor:
        """The predicted whitened caption, scaled to length 1."""
        x = functional.silu(self.into(((latents - self.middle) / self.scale).flatten(1)))
        x = x + functional.silu(self.between(functional.layer_norm(x, (_WIDTH,))))
        return functional.normalize(self.out(functional.layer_norm(x, (_WIDTH,))).float(), dim=1)
