"""The seam between the images engine and whatever paints: pixels in, pixels out, step by step.

Knows nothing of requests, formats, uploads or how many pictures are wanted: `engine` does.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from homeport.domain.images import ImageSize

Pixels: TypeAlias = NDArray[np.uint8]
"""Height x width x 3, RGB."""
Mask: TypeAlias = NDArray[np.bool_]
"""Height x width; true where to repaint."""


@dataclass(frozen=True, slots=True)
class PipelineInput:
    """One picture to paint, at a size that `ImagePipeline.fit` gave.

    `image`: start from it, of the same size. `mask`: repaint only there; what comes back elsewhere does not matter, for
    the source's own pixels are put there. `strength`: 0 gives the image back, 1 forgets it. An empty `prompt` comes
    with variations alone. `seed` is 0 to 2**32 - 1. `effort`: without `steps`, so many times the model's own number of
    them. `previews`: about so many strokes, evenly spread, should carry one. None: what the model was made for.
    """

    prompt: str
    size: ImageSize
    seed: int
    negative_prompt: str = ""
    image: Pixels | None = None
    mask: Mask | None = None
    strength: float | None = None
    steps: int | None = None
    effort: float = 1.0
    guidance: float | None = None
    previews: int = 0


@dataclass(frozen=True, slots=True)
class PipelineStep:
    """Step `step` of `steps` is done, counted from 1. `preview`: how the picture looks by now, where asked for."""

    step: int
    steps: int
    preview: Pixels | None = None


PipelineOutputs: TypeAlias = Iterator[PipelineStep | Pixels | None]
"""A picture in the making: a `PipelineStep` after each step, the finished `Pixels` last, at the brief's size.

None: nothing to tell yet (given once a second or so, by one that waits), so that a cancel is noticed. Closing the
generator (`close()`) must stop the work at once.
"""


class ImagePipeline(Protocol):
    """A loaded model that paints. All of it is called from one thread."""

    @property
    def native_size(self) -> ImageSize:
        """The size it paints best."""
        ...

    def fit_size(self, size: ImageSize) -> ImageSize:
        """The size it would paint for an answer of `size`; the engine enlarges or reduces the rest of the way."""
        ...

    def check(self, brief: PipelineInput) -> None:
        """Raise InvalidRequest, naming the field as callers know it, for what the model cannot do. Paints nothing."""
        ...

    def generate(self, brief: PipelineInput) -> PipelineOutputs:
        """Begin a picture, of a brief that was checked."""
        ...

    def enlarge(self, pixels: Pixels, size: ImageSize) -> Pixels:
        """Bring a finished picture to the answer's size, with clean edges. `pixels.enlarge` is a good default."""
        ...

    def close(self) -> None:
        """Free the model."""
        ...
