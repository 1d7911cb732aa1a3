"""The interface between the images engine and what generates images: pixels in, pixels out, step by step.

Knows nothing of requests, formats, uploads or the number of images.
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
"""Height x width; true where to generate."""


@dataclass(frozen=True, slots=True)
class PipelineInput:
    """One image to generate, at a size that `ImagePipeline.fit_size` returned.

    `image`: the image to start from, of the same size. `mask`: generate only there; the result elsewhere is replaced
    with the source's own pixels. `strength`: 0 returns the image, 1 ignores it. Only variations have an empty `prompt`.
    `seed` is 0 to 2**32 - 1. `effort`: without `steps`, the factor for the model's default number of steps. `previews`:
    about this many steps, evenly spread, should have a preview. None: the model's default.
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
    """Step `step` of `steps` is done, counted from 1. `preview`: the image so far, if requested."""

    step: int
    steps: int
    preview: Pixels | None = None


@dataclass(frozen=True, slots=True)
class RevisedPrompt:
    """What the pipeline generates instead of the prompt, as text; it comes before the first step."""

    text: str


PipelineOutputs: TypeAlias = Iterator[RevisedPrompt | PipelineStep | Pixels | None]
"""The outputs of one image: a `PipelineStep` after each step, the finished `Pixels` last.

Pixels have the requested size, or a multiple of it. None: no output yet (about once a second while it waits), so that a
cancellation is noticed. Closing the generator (`close()`) must stop the work at once.
"""


class ImagePipeline(Protocol):
    """A loaded model that generates images. All methods are called from one thread."""

    @property
    def native_size(self) -> ImageSize:
        """The size that the model generates best."""
        ...

    def fit_size(self, size: ImageSize) -> ImageSize:
        """Return the size to generate for an output of `size`; the result is resized to that."""
        ...

    def check(self, params: PipelineInput) -> None:
        """Raise InvalidRequest, with the API's field name, for what the model cannot do. Generates nothing."""
        ...

    def generate(self, params: PipelineInput) -> PipelineOutputs:
        """Start an image; `params` were checked."""
        ...

    def enlarge(self, pixels: Pixels, size: ImageSize) -> Pixels:
        """Resize a finished image to the output size, with sharp edges. `pixels.enlarge` is a good default."""
        ...

    def close(self) -> None:
        """Free the model."""
        ...
