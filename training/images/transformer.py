"""The transformer that tells which way noise must move to become a picture, given a caption's vector and a style.

Knows nothing of how it is trained or of pixels: it works on the autoencoder's latents, scaled to spread 1.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.images.autoencoder import CHANNELS, PLACES

_PATCH = 2
_TOKENS = (PLACES // _PATCH) ** 2
_NUMBERS = CHANNELS * _PATCH**2
_WAVES = 128


@dataclass(frozen=True, slots=True)
class Shape:
    """How large. `words`: tokens made of the caption's vector, which the picture's tokens look at."""

    width: int = 320
    depth: int = 8
    words: int = 4
    head: int = 64
    wider: int = 3
    components: int = 256
    styles: int = 4


class Reading(nn.Module):
    """Caption vectors made even: the mean taken off, the directions that tell captions apart brought to one size.

    Vectors of this family of models all lie close together (cosines of 0.7 to 0.9 between strangers); without this the
    transformer hardly sees a difference.
    """

    def __init__(self, components: int, dimensions: int = 384) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(dimensions))
        self.register_buffer("turn", torch.zeros(dimensions, components))

    mean: Tensor
    turn: Tensor

    def fit(self, vectors: Tensor) -> None:
        """Learn it from captions, (n, 384)."""
        self.mean.copy_(vectors.mean(dim=0))
        values, directions = torch.linalg.eigh(torch.cov((vectors - self.mean).T.double()))
        count = self.turn.shape[1]
        values, directions = values[-count:], directions[:, -count:]
        floor = values.quantile(0.25)
        self.turn.copy_((directions / (values + floor).sqrt()).float())

    def forward(self, vectors: Tensor) -> Tensor:
        """(n, 384) to (n, components)."""
        return (vectors - self.mean) @ self.turn


class Block(nn.Module):
    """Attention and a layer of neurons, both steered by time, caption and style."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.head = shape.head
        width = shape.width
        self.query_key_value = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.up = nn.Linear(width, shape.wider * width)
        self.down = nn.Linear(shape.wider * width, width)
        self.own = nn.Parameter(torch.randn(6, width) / math.sqrt(width))
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.down.weight)

    def forward(self, x: Tensor, steering: Tensor) -> Tensor:
        """`x` (n, tokens, width); `steering` (n, 6, width), the same for all blocks."""
        number, tokens, width = x.shape
        shift, scale, gate, shift_up, scale_up, gate_up = (steering + self.own.to(x.dtype)).unsqueeze(2).unbind(1)
        normed = torch.addcmul(shift, functional.layer_norm(x, (width,)), 1 + scale)
        split = self.query_key_value(normed).view(number, tokens, 3, width // self.head, self.head)
        query, key, value = split.permute(2, 0, 3, 1, 4)
        mixed = (
            functional.scaled_dot_product_attention(query, key, value).transpose(1, 2).reshape(number, tokens, width)
        )
        x = torch.addcmul(x, 1 + gate, self.out(mixed))
        normed = torch.addcmul(shift_up, functional.layer_norm(x, (width,)), 1 + scale_up)
        return torch.addcmul(x, 1 + gate_up, self.down(functional.silu(self.up(normed))))


class Transformer(nn.Module):
    """Latents at a time between noise (0) and picture (1) to their velocity."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        width = shape.width
        self.shape = shape
        self.reading = Reading(shape.components)
        self.nothing = nn.Parameter(torch.zeros(shape.components))
        self.into = nn.Linear(_NUMBERS, width)
        self.places = nn.Parameter(torch.randn(_TOKENS, width) * 0.5)
        self.words = nn.Linear(shape.components, shape.words * width)
        self.caption = nn.Sequential(nn.Linear(shape.components, 2 * width), nn.SiLU(), nn.Linear(2 * width, width))
        self.time = nn.Sequential(nn.Linear(2 * _WAVES, width), nn.SiLU(), nn.Linear(width, width))
        self.style = nn.Embedding(shape.styles, width)
        self.steer = nn.Linear(width, 6 * width)
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.depth))
        self.last = nn.Linear(width, 2 * width)
        self.outof = nn.Linear(width, _NUMBERS)
        for layer in (self.steer, self.last, self.outof):
            nn.init.zeros_(layer.weight)
        self.register_buffer("waves", torch.exp(torch.linspace(0, math.log(1000.0), _WAVES)), persistent=False)

    waves: Tensor

    def forward(self, latents: Tensor, time: Tensor, read: Tensor, style: Tensor, told: Tensor) -> Tensor:
        """Velocity (n, 8, 8, 8). `read`: from `reading`, (n, components). `told` (n,): 0 hides the caption."""
        number, width = latents.shape[0], self.shape.width
        shown = told.unsqueeze(1)
        read = read * shown + self.nothing * (1 - shown)
        angles = time.unsqueeze(1) * self.waves
        timed = self.time(torch.cat([angles.cos(), angles.sin()], dim=1))
        state = functional.silu(timed + self.caption(read) + self.style(style))
        steering = self.steer(state).view(number, 6, width)
        words = self.words(read).view(number, self.shape.words, width)
        x = torch.cat([words, self.into(patched(latents)) + self.places], dim=1)
        for block in self.blocks:
            x = block(x, steering)
        shift, scale = self.last(state).unsqueeze(1).chunk(2, dim=-1)
        x = torch.addcmul(shift, functional.layer_norm(x[:, self.shape.words :], (width,)), 1 + scale)
        return joined(self.outof(x))


def patched(latents: Tensor) -> Tensor:
    """(n, 8, 8, 8) to tokens (n, 16, 32)."""
    side = PLACES // _PATCH
    split = latents.reshape(-1, CHANNELS, side, _PATCH, side, _PATCH)
    return split.permute(0, 2, 4, 1, 3, 5).reshape(-1, _TOKENS, _NUMBERS)


def joined(tokens: Tensor) -> Tensor:
    """Tokens (n, 16, 32) back to (n, 8, 8, 8)."""
    side = PLACES // _PATCH
    split = tokens.reshape(-1, side, side, CHANNELS, _PATCH, _PATCH)
    return split.permute(0, 3, 1, 4, 2, 5).reshape(-1, CHANNELS, PLACES, PLACES)
