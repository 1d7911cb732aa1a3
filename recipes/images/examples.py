"""Random batches of images with captions. Knows nothing of networks."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from recipes.images import dataset
from recipes.images.dataset import Dataset
from recipes.images.pictures import STYLES

_OFTEN = {"en": 4, "zh": 3}
_MIXED = 0.5  # share of examples with a vector between two captions of the image


@dataclass(frozen=True, slots=True)
class Batch:
    """Indices of images in `Source.latents` (n,), caption vectors (n, 384), styles (n,)."""

    pictures: Tensor
    vectors: Tensor
    styles: Tensor


class Source(Protocol):
    """What training draws from. `latents`: of all images. `seen`: all caption vectors that may be drawn."""

    latents: Tensor
    styles: Tensor
    seen: Tensor

    def draw(self, count: int, generator: torch.Generator) -> Batch:
        """Draw `count` random examples."""
        ...


class Examples:
    """Draws images by weight, each with a caption that is not held out; English and Chinese are more frequent.

    `styles`: only images of these sets. `recoloured`: include recolored images. Half of the vectors lie between two
    captions of the image.
    """

    def __init__(self, folder: Path, styles: tuple[str, ...] = STYLES, *, recoloured: bool = True) -> None:
        data = dataset.load(folder)
        captions = _captions(data)
        wanted = {STYLES.index(style) for style in styles}
        self.kept = [
            i
            for i, row in enumerate(data.rows)
            if row.weight > 0
            and row.style in wanted
            and (recoloured or not row.colour)
            and (row.code, row.colour) in captions
        ]
        rows = [data.rows[i] for i in self.kept]
        places = np.cumsum([not row.colour for row in data.rows]) - 1
        self.own = places[self.kept]
        """The index of each image's fine version; only images that are not recolored have one."""
        chances = torch.tensor([row.weight for row in rows], dtype=torch.float64)
        self._edges = chances.cumsum(0) / chances.sum()
        self.styles = torch.tensor([row.style for row in rows])
        self.latents = torch.from_numpy(np.load(folder / "latents.npy"))[self.kept]
        choices = [captions[row.code, row.colour] for row in rows]
        self._counts = torch.tensor([len(choice) for choice in choices])
        self._starts = self._counts.cumsum(0) - self._counts
        self._choices = torch.tensor([index for choice in choices for index in choice])
        self._vectors = torch.from_numpy(data.vectors)
        self.seen = self._vectors[self._choices.unique()]

    def draw(self, count: int, generator: torch.Generator) -> Batch:
        """Draw `count` random examples."""
        draws = torch.rand(4, count, generator=generator)
        picked = torch.searchsorted(self._edges, draws[0].double()).clamp(max=len(self._edges) - 1)
        first, second = (self._vectors[self._caption(picked, draw)] for draw in draws[1:3])
        share = torch.where(draws[3] < _MIXED, draws[3] / _MIXED, torch.zeros(())).unsqueeze(1)
        return Batch(picked, torch.lerp(first, second, share), self.styles[picked])

    def _caption(self, picked: Tensor, draw: Tensor) -> Tensor:
        return self._choices[self._starts[picked] + (draw * self._counts[picked]).long()]


def _captions(data: Dataset) -> dict[tuple[str, str], Sequence[int]]:
    """Indices of captions by code and color, repeated by their frequency."""
    found: dict[tuple[str, str], list[int]] = {}
    for index, text in enumerate(data.texts):
        if not text.held_out:
            found.setdefault((text.code, text.colour), []).extend([index] * _OFTEN.get(text.language, 1))
    return dict(found)
