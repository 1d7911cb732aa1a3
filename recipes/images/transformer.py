"""The flow transformer: the velocity from noise to an image, given a caption, a style and a draft.

It works on latents. Knows nothing of pixels or of how it is trained.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from recipes.images.draft import Draft, DraftShape
from recipes.images.latents import CHANNELS, PLACES

_PATCH = 2
_SIDE = PLACES // _PATCH
_TOKENS = _SIDE**2
_NUMBERS = CHANNELS * _PATCH**2
_WAVES = 128


@dataclass(frozen=True, slots=True)
class Shape:
    """The size of the network."""

    width: int = 256
    depth: int = 6
    head: int = 64
    wider: int = 3


class Block(nn.Module):
    """Attention and a feed-forward layer, both modulated by time, caption and style."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.head = shape.head
        width = shape.width
        self.query_key_value = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.up = nn.Linear(width, shape.wider * width)
        self.down = nn.Linear(shape.wider * width, width)
        self.native_size = nn.Parameter(torch.randn(6, width) / math.sqrt(width))
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.down.weight)

    def forward(self, x: Tensor, steering: Tensor) -> Tensor:
        """`x` (n, tokens, width); `steering` (n, 6, width), the same for all blocks."""
        number, tokens, width = x.shape
        shift, scale, gate, shift_up, scale_up, gate_up = (
            (steering + self.native_size.to(x.dtype)).unsqueeze(2).unbind(1)
        )
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
    """Latents at a time between noise (0) and image (1) to their velocity.

    If images were normally distributed around their draft, the velocity would be known. The network adds the difference
    from that, scaled to size 1 at every time.
    """

    def __init__(self, shape: Shape, draft: DraftShape) -> None:
        super().__init__()
        width = shape.width
        self.shape = shape
        self.draft = Draft(draft)
        self.nothing = nn.Parameter(torch.zeros(draft.components))
        self.into = nn.Linear(2 * _NUMBERS, width)
        self.places = nn.Parameter(torch.randn(_TOKENS, width) * 0.5)
        self.caption = nn.Sequential(nn.Linear(draft.components, width), nn.SiLU(), nn.Linear(width, width))
        self.time = nn.Sequential(nn.Linear(2 * _WAVES, width), nn.SiLU(), nn.Linear(width, width))
        self.style = nn.Embedding(draft.styles, width)
        self.steer = nn.Linear(width, 6 * width)
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.depth))
        self.last = nn.Linear(width, 2 * width)
        self.outof = nn.Linear(width, _NUMBERS)
        for layer in (self.steer, self.last, self.outof):
            nn.init.zeros_(layer.weight)
        self.register_buffer("waves", torch.exp(torch.linspace(0, math.log(1000.0), _WAVES)), persistent=False)

    waves: Tensor

    def forward(self, latents: Tensor, time: Tensor, read: Tensor, style: Tensor, told: Tensor) -> Tensor:
        """Velocity, of the latents' shape. `read`: from `draft.reading`. `told` (n,): 0 hides the caption."""
        middle, spread = self.guess(read, style, told)
        known, size, scaled = around(latents, time, middle, spread)
        return known + size * self.correction(scaled, middle, time, read, style, told)

    def guess(self, read: Tensor, style: Tensor, told: Tensor) -> tuple[Tensor, Tensor]:
        """The prior mean and spread of the image: around the draft, or around the mean image."""
        shown = told.view(-1, 1, 1, 1)
        middle = self.draft(read, style) * shown + self.draft.average[style] * (1 - shown)
        return middle, self.draft.near * shown + self.draft.far * (1 - shown)

    def correction(
        self, scaled: Tensor, middle: Tensor, time: Tensor, read: Tensor, style: Tensor, told: Tensor
    ) -> Tensor:
        """What the network adds to the velocity of a normal distribution."""
        number, width = scaled.shape[0], self.shape.width
        shown = told.unsqueeze(1)
        read = read * shown + self.nothing * (1 - shown)
        angles = time.unsqueeze(1) * self.waves
        timed = self.time(torch.cat([angles.cos(), angles.sin()], dim=1))
        state = functional.silu(timed + self.caption(read) + self.style(style))
        steering = self.steer(state).view(number, 6, width)
        x = self.into(torch.cat([patched(scaled), patched(middle / self.draft.far)], dim=-1)) + self.places
        for block in self.blocks:
            x = block(x, steering)
        shift, scale = self.last(state).unsqueeze(1).chunk(2, dim=-1)
        return joined(self.outof(torch.addcmul(shift, functional.layer_norm(x, (width,)), 1 + scale)))


def around(latents: Tensor, time: Tensor, middle: Tensor, spread: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The velocity of a normal distribution around `middle`, the size of the correction, the scaled latents."""
    now = time.view(-1, 1, 1, 1)
    variance = (now * spread).square() + (1 - now).square()
    offset = latents - now * middle
    known = middle + (now * spread.square() - (1 - now)) / variance * offset
    return known, spread / variance.sqrt(), offset / variance.sqrt()


def patched(latents: Tensor) -> Tensor:
    """(n, CHANNELS, 8, 8) to tokens (n, 16, 4 * CHANNELS)."""
    split = latents.reshape(-1, CHANNELS, _SIDE, _PATCH, _SIDE, _PATCH)
    return split.permute(0, 2, 4, 1, 3, 5).reshape(-1, _TOKENS, _NUMBERS)


def joined(tokens: Tensor) -> Tensor:
    """Tokens back to (n, CHANNELS, 8, 8)."""
    split = tokens.reshape(-1, _SIDE, _SIDE, CHANNELS, _PATCH, _PATCH)
    return split.permute(0, 3, 1, 4, 2, 5).reshape(-1, CHANNELS, PLACES, PLACES)
