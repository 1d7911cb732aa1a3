"""Which picture is shown with which caption, batch after batch. Knows nothing of networks."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from training.images import dataset
from training.images.pictures import STYLES


@dataclass(frozen=True, slots=True)
class Batch:
    """Latents (n, 8, 8, 8) scaled to spread 1, caption vectors (n, 384), styles (n,)."""

    latents: Tensor
    vectors: Tensor
    styles: Tensor


class Source(Protocol):
    """What training draws from. `seen`: all caption vectors that may come, for `Reading.fit`."""

    mean: Tensor
    spread: Tensor
    seen: Tensor

    def draw(self, count: int, generator: torch.Generator) -> Batch:
        """`count` examples by chance."""
        ...


class Examples:
    """Draws pictures by their weight, and one of their captions that are not held out: English and Chinese more often.
    `styles`: only pictures of these sets.

    `mean` and `spread` (8, 1, 1) bring the autoencoder's latents to spread 1.
    """

    def __init__(self, folder: Path, styles: tuple[str, ...] = STYLES) -> None:
        data = dataset.load(folder)
        wanted = {STYLES.index(style) for style in styles}
        by_picture: dict[tuple[str, str], list[int]] = {}
        for index, text in enumerate(data.texts):
            if not text.held_out:
                often = {"en": 4, "zh": 3}.get(text.language, 1)
                by_picture.setdefault((text.code, text.colour), []).extend([index] * often)
        kept = [
            i
            for i, row in enumerate(data.rows)
            if row.weight > 0 and row.style in wanted and (row.code, row.colour) in by_picture
        ]
        self._captions = [by_picture[data.rows[i].code, data.rows[i].colour] for i in kept]
        self._chances = torch.tensor([data.rows[i].weight for i in kept])
        self._styles = torch.tensor([data.rows[i].style for i in kept])
        latents = torch.from_numpy(np.load(folder / "latents.npy"))
        self.mean = latents.mean(dim=(0, 2, 3)).view(-1, 1, 1)
        self.spread = latents.std(dim=(0, 2, 3)).view(-1, 1, 1)
        self._latents = (latents[kept] - self.mean) / self.spread
        self._vectors = torch.from_numpy(data.vectors)
        self.seen = self._vectors[sorted({caption for captions in self._captions for caption in captions})]

    def draw(self, count: int, generator: torch.Generator) -> Batch:
        """`count` examples by chance."""
        picked = torch.multinomial(self._chances, count, replacement=True, generator=generator)
        draws = torch.rand(count, generator=generator)
        texts = [
            self._captions[picture][int(draw * len(self._captions[picture]))]
            for picture, draw in zip(picked.tolist(), draws.tolist(), strict=True)
        ]
        return Batch(self._latents[picked], self._vectors[texts], self._styles[picked])
