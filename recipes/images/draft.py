"""The draft: a prediction of an image's latents from a caption and a style, without noise or time.

It predicts the mean of what a caption may mean, so it is sharp for clear captions and blurred for ambiguous ones. It is
far cheaper to train than the transformer and memorizes what the drawings look like.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from recipes.images.latents import CHANNELS, PLACES
from recipes.images.whitening import Reading

_OUT = CHANNELS * PLACES**2


@dataclass(frozen=True, slots=True)
class DraftShape:
    """The size of the network."""

    components: int = 320
    width: int = 1024
    depth: int = 2
    styles: int = 4


class Draft(nn.Module):
    """Whitened captions (by its own `reading`) and styles to latents."""

    def __init__(self, shape: DraftShape) -> None:
        super().__init__()
        self.shape = shape
        width = shape.width
        self.reading = Reading(shape.components)
        self.into = nn.Linear(shape.components, width)
        self.style = nn.Embedding(shape.styles, width)
        nn.init.normal_(self.style.weight, std=0.3)
        self.ups = nn.ModuleList(nn.Linear(width, width) for _ in range(shape.depth))
        downs = [nn.Linear(width, width) for _ in range(shape.depth)]
        for layer in downs:
            nn.init.zeros_(layer.weight)
        self.downs = nn.ModuleList(downs)
        self.out = nn.Linear(width, _OUT)
        nn.init.normal_(self.out.weight, std=0.2 / math.sqrt(width))
        self.register_buffer("average", torch.zeros(shape.styles, CHANNELS, PLACES, PLACES))
        self.register_buffer("near", torch.ones(CHANNELS, 1, 1))
        self.register_buffer("far", torch.ones(CHANNELS, 1, 1))

    average: Tensor
    """The mean image of each style: the prediction without a caption."""
    near: Tensor
    """The distance of images from their drafts, per channel."""
    far: Tensor
    """The distance of images from the mean image, per channel."""

    def forward(self, read: Tensor, style: Tensor) -> Tensor:
        """(n, components) and (n,) to (n, CHANNELS, 8, 8)."""
        x = self.into(read) + self.style(style)
        for up, down in zip(self.ups, self.downs, strict=True):
            x = x + down(functional.silu(up(functional.layer_norm(x, x.shape[-1:]))))
        made = self.out(functional.silu(functional.layer_norm(x, x.shape[-1:])))
        return made.float().view(-1, CHANNELS, PLACES, PLACES) * self.far + self.average[style]
