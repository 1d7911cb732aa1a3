"""The network as it is trained: a small causal transformer with rotary positions. Knows nothing of tunes.

Its weights' names and shapes are those that homeport.engines.music.tunes.network computes with.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from homeport.engines.music.score import MODES
from homeport.engines.music.tunes.layout import (
    ECHOES,
    MAX_BAR,
    MAX_BARS_LEFT,
    MAX_SECTIONS_LEFT,
    METRES,
    STYLES,
)

_BASE = 10_000.0  # of the rotary positions


@dataclass(frozen=True, slots=True)
class Size:
    """How large a network is. `hidden`: of the layers between attention."""

    tokens: int
    width: int
    layers: int
    heads: int
    hidden: int
    dropout: float = 0.05


def rotations(length: int, size: int) -> tuple[Tensor, Tensor]:
    """Cosines and sines of (length, size / 2)."""
    angles = torch.arange(length)[:, None] * _BASE ** (-torch.arange(0, size, 2) / size)
    return angles.cos(), angles.sin()


def rotate(values: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
    """Turn the halves of (..., length, size) by their position."""
    first, second = values.chunk(2, dim=-1)
    return torch.cat([first * cosines - second * sines, first * sines + second * cosines], dim=-1)


class Block(nn.Module):
    """Attention and a hidden layer, each added to its input."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        width = size.width
        self.heads, self.dropout = size.heads, size.dropout
        self.before_attention, self.before_hidden = nn.RMSNorm(width, eps=1e-5), nn.RMSNorm(width, eps=1e-5)
        self.read = nn.Linear(width, 3 * width, bias=False)
        self.joined = nn.Linear(width, width, bias=False)
        self.widen = nn.Linear(width, size.hidden, bias=False)
        self.narrow = nn.Linear(size.hidden, width, bias=False)

    def forward(self, values: Tensor, turns: tuple[Tensor, Tensor]) -> Tensor:
        """(n, length, width) to the same shape."""
        count, length, width = values.shape
        parts = self.read(self.before_attention(values)).view(count, length, 3, self.heads, width // self.heads)
        queries, keys, contents = parts.permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(
            rotate(queries, *turns), rotate(keys, *turns), contents, is_causal=True
        )
        values = values + self._dropped(self.joined(mixed.transpose(1, 2).reshape(count, length, width)))
        hidden = functional.relu(self.widen(self.before_hidden(values))).square()
        return values + self._dropped(self.narrow(hidden))

    def _dropped(self, values: Tensor) -> Tensor:
        return functional.dropout(values, self.dropout, self.training)


class TuneNetwork(nn.Module):
    """Tokens with places to the scores of the next token."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.size = size
        tables = (size.tokens, MAX_BAR, MAX_BARS_LEFT + 1, MAX_SECTIONS_LEFT + 1, *(size.tokens for _ in ECHOES))
        self.steps = nn.ModuleList(nn.Embedding(count, size.width) for count in tables)
        self.headings = nn.ModuleList(nn.Embedding(len(names), size.width) for names in (STYLES, METRES, MODES))
        self.blocks = nn.ModuleList(Block(size) for _ in range(size.layers))
        self.last = nn.RMSNorm(size.width, eps=1e-5)
        for table in (*self.steps, *self.headings):
            nn.init.normal_(table.weight, 0, 0.02)

    def forward(self, values: Tensor, headings: Tensor) -> Tensor:
        """(n, length, 8) and (n, 3) to scores of (n, length, tokens)."""
        state = sum(table(values[..., index]) for index, table in enumerate(self.steps))
        state = state + sum(table(headings[:, index, None]) for index, table in enumerate(self.headings))
        state = functional.dropout(state, self.size.dropout, self.training)
        turns = rotations(values.shape[1], self.size.width // self.size.heads)
        for block in self.blocks:
            state = block(state, turns)
        return functional.linear(self.last(state), self.steps[0].weight)
