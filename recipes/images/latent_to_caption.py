"""The way back: from a picture's latents to the vector a caption of it would have, so that a picture can ask alone.

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

    It guesses what the draft would read in a caption, at the length that read captions have: a guess that is half sure
    would else be a short one, of which the draft makes a blur. `scale`: how far latents spread, per channel. `back`:
    from what is read to captions' vectors.
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
        """What it sees, as a caption's vector."""
        return self.mean + self.length * self.directions(latents) @ self.back

    def directions(self, latents: Tensor) -> Tensor:
        """What it sees, as a read caption brought to length 1."""
        x = functional.silu(self.into(((latents - self.middle) / self.scale).flatten(1)))
        x = x + functional.silu(self.between(functional.layer_norm(x, (_WIDTH,))))
        return functional.normalize(self.out(functional.layer_norm(x, (_WIDTH,))).float(), dim=1)
