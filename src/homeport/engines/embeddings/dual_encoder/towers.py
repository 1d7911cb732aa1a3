"""The two towers of a dual encoder, as protocols: texts to vectors, and images to vectors of the same space.

`layouts` makes the towers of a model from its files; `batching` is all that calls them. A tower only computes: it knows
nothing of requests, files of callers, or turns. Only the engine's working thread calls it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from homeport.domain.models import CPU

Vectors = NDArray[np.float32]
"""One row per input, (inputs, dimensions). Towers need not normalize them."""
Pixels = NDArray[np.float32]
"""One preprocessed image, as its tower reads it."""
TokenIds = Sequence[int]


class TextTower(Protocol):
    """Embeds texts."""

    @property
    def window(self) -> int:
        """Tokens of one text, with those that the tower adds."""
        ...

    @property
    def batch(self) -> int:
        """Texts that are computed together."""
        ...

    def tokenize(self, text: str) -> TokenIds:
        """Return a text's ids, complete with what the tower adds; not padded, and not cut to the window.

        Of a text far beyond the window, the ids may end early, after more than `window` of them. Raises InvalidRequest
        for a text that cannot be read.
        """
        ...

    def complete(self, ids: TokenIds) -> TokenIds:
        """Return ids of the tower's own vocabulary, complete as `tokenize` returns them.

        Raises InvalidRequest for an id that is unknown or has a special meaning.
        """
        ...

    def encode(self, inputs: Sequence[TokenIds]) -> Vectors:
        """Compute at most `batch` texts. Raises EngineFailed."""
        ...

    def close(self) -> None:
        """Free the weights."""
        ...


class ImageTower(Protocol):
    """Embeds images."""

    @property
    def patches(self) -> int:
        """The patches of one image: what it counts as in the usage."""
        ...

    @property
    def batch(self) -> int:
        """Images that are computed together."""
        ...

    def preprocess(self, image: Image.Image) -> Pixels:
        """Return the pixels of an image, which is upright and RGB, as `encode` takes them."""
        ...

    def encode(self, images: Sequence[Pixels]) -> Vectors:
        """Compute at most `batch` images. Raises EngineFailed."""
        ...

    def close(self) -> None:
        """Free the weights."""
        ...


@dataclass(frozen=True)
class DualEncoder:
    """A loaded model. `dimensions`: of the vectors of both towers.

    `kernels`, `device` and `device_bytes`: as in `LoadedModel`.
    """

    texts: TextTower
    images: ImageTower
    dimensions: int
    kernels: str
    device: str = CPU
    device_bytes: int = 0

    def close(self) -> None:
        """Free both towers."""
        self.texts.close()
        self.images.close()
