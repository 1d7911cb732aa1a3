"""The model's three networks and the vectors of captions, as functions of arrays. Knows nothing of walks."""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from homeport.engines.onnx_sessions import session_options

Floats = NDArray[np.float32]

SIDE = 128
"""Pixels along each side of what the model paints."""
LATENT = (24, 8, 8)
"""Channels, rows and columns of a picture's latents."""
STYLES = (1, 0)
"""The manners it paints in, by the numbers that training gave them: Fluent's flat set, Noto's."""


class CaptionEncoder(Protocol):
    """What makes vectors of captions."""

    def __call__(self, caption: str) -> Floats:
        """A vector of length 1, (384,)."""
        ...


class ClipartModel(Protocol):
    """What a walk needs of the networks."""

    def velocity(self, latents: Floats, time: float, vectors: Floats, told: Floats, style: int) -> Floats:
        """Where latents (n, *LATENT) move at `time`, given captions' vectors (n, 384); `told` 0 hides a caption.

        `style`: one of STYLES.
        """
        ...

    def decode(self, latents: Floats) -> NDArray[np.uint8]:
        """One picture's latents (LATENT) as pixels, SIDE x SIDE x 3."""
        ...

    def encode(self, pixels: NDArray[np.uint8]) -> tuple[Floats, Floats]:
        """Pixels (SIDE x SIDE x 3) as latents (LATENT), and the vector of a caption that might be theirs (384,)."""
        ...


class Networks:
    """Implements `ClipartModel`. Files by role (`step`, `decoder`, `encoder`), loaded. `threads` 0: one per core."""

    def __init__(self, files: Mapping[str, Path], threads: int = 0) -> None:
        chosen = session_options(threads)
        self._sessions = {
            role: onnxruntime.InferenceSession(str(files[role]), chosen, providers=["CPUExecutionProvider"])
            for role in ("step", "decoder", "encoder")
        }

    def velocity(self, latents: Floats, time: float, vectors: Floats, told: Floats, style: int) -> Floats:
        """Where latents (n, *LATENT) move at `time`, given captions' vectors (n, 384); `told` 0 hides a caption."""
        count = len(latents)
        (moved,) = self._run(
            "step",
            latents=latents,
            time=np.full(count, time, np.float32),
            vectors=vectors,
            style=np.full(count, style, np.int64),
            told=told,
        )
        return moved

    def decode(self, latents: Floats) -> NDArray[np.uint8]:
        """One picture's latents (LATENT) as pixels, SIDE x SIDE x 3."""
        (made,) = self._run("decoder", latents=latents[None])
        clipped = np.clip(np.rint((made[0].transpose(1, 2, 0) + 1) * np.float32(127.5)), 0, 255)
        return np.asarray(clipped, dtype=np.uint8)

    def encode(self, pixels: NDArray[np.uint8]) -> tuple[Floats, Floats]:
        """Pixels (SIDE x SIDE x 3) as latents (LATENT), and the vector of a caption that might be theirs (384,)."""
        given = pixels.transpose(2, 0, 1)[None].astype(np.float32) / np.float32(127.5) - 1
        latents, vectors = self._run("encoder", pixels=given)
        return latents[0], vectors[0]

    def _run(self, role: str, **given: NDArray[np.generic]) -> list[Floats]:
        made: list[Floats] = self._sessions[role].run(None, given)
        return made
