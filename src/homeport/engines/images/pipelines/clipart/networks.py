"""The model's three networks, as functions of arrays. Knows nothing of sampling."""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from homeport.engines.onnx_sessions import open_session

Floats = NDArray[np.float32]

SIDE = 128
"""Pixels along each side of the images that the model generates."""
LATENT = (24, 8, 8)
"""Channels, rows and columns of an image's latents."""
STYLES = (1, 0)
"""The styles, by their numbers in training: that of Fluent's flat set, that of Noto."""


class CaptionEncoder(Protocol):
    """Embeds captions."""

    def __call__(self, caption: str) -> Floats:
        """Return a vector of length 1, (384,)."""
        ...


class ClipartModel(Protocol):
    """The networks that sampling needs."""

    def velocity(self, latents: Floats, time: float, vectors: Floats, has_caption: Floats, style: int) -> Floats:
        """Return the velocity of latents (n, *LATENT) at `time`, given captions' vectors (n, 384).

        `has_caption` (n,): 1, or 0 to ignore the caption. `style`: one of STYLES.
        """
        ...

    def decode(self, latents: Floats) -> NDArray[np.uint8]:
        """Decode one image's latents (LATENT) to pixels, SIDE x SIDE x 3."""
        ...

    def encode(self, pixels: NDArray[np.uint8]) -> tuple[Floats, Floats]:
        """Encode pixels (SIDE x SIDE x 3) to latents (LATENT) and the vector of a likely caption (384,)."""
        ...


class Networks:
    """Implements `ClipartModel`. Loads files by role (`step`, `decoder`, `encoder`). `threads` 0: one per core."""

    def __init__(self, files: Mapping[str, Path], threads: int = 0) -> None:
        self._sessions = {role: open_session(files[role], threads) for role in ("step", "decoder", "encoder")}

    def velocity(self, latents: Floats, time: float, vectors: Floats, has_caption: Floats, style: int) -> Floats:
        """Return the velocity of latents (n, *LATENT) at `time`, given captions' vectors (n, 384)."""
        count = len(latents)
        (velocity,) = self._run(
            "step",
            latents=latents,
            time=np.full(count, time, np.float32),
            vectors=vectors,
            style=np.full(count, style, np.int64),
            told=has_caption,
        )
        return velocity

    def decode(self, latents: Floats) -> NDArray[np.uint8]:
        """Decode one image's latents (LATENT) to pixels, SIDE x SIDE x 3."""
        (images,) = self._run("decoder", latents=latents[None])
        clipped = np.clip(np.rint((images[0].transpose(1, 2, 0) + 1) * np.float32(127.5)), 0, 255)
        return np.asarray(clipped, dtype=np.uint8)

    def encode(self, pixels: NDArray[np.uint8]) -> tuple[Floats, Floats]:
        """Encode pixels (SIDE x SIDE x 3) to latents (LATENT) and the vector of a likely caption (384,)."""
        scaled = pixels.transpose(2, 0, 1)[None].astype(np.float32) / np.float32(127.5) - 1
        latents, vectors = self._run("encoder", pixels=scaled)
        return latents[0], vectors[0]

    def _run(self, role: str, **inputs: NDArray[np.generic]) -> list[Floats]:
        outputs: list[Floats] = self._sessions[role].run(None, inputs)
        return outputs
