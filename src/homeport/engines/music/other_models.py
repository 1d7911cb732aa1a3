"""The two models of other kinds whose files music uses, each loaded when it is first needed.

One embeds prompts that name no genre, the other sings. Knows nothing of plans, tunes or requests.
"""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from homeport.engines.llama import encoder
from homeport.engines.llama.encoder import EmbeddingEncoder, EncoderOptions
from homeport.engines.music.performance import SungPhrase
from homeport.engines.music.score import Bar, TunePlan
from homeport.engines.music.singing.singer import Singer

EMBEDDING_WEIGHTS = "multilingual-e5-small/weights"
"""The role of the embedding model's file."""
VOICE_MODEL = "kokoro-82m/"
"""The roles of the speech model's files begin with this."""
_PREFIX = "query: "  # that model's prefix for texts that are compared with each other


class PromptEmbedder:
    """Embeds texts with multilingual-e5-small; long ones are cut to its window."""

    def __init__(self, weights: Path, options: EncoderOptions) -> None:
        self._weights = weights
        self._options = options
        self._encoder: EmbeddingEncoder | None = None

    def __call__(self, text: str) -> NDArray[np.float32]:
        """Return a vector of length 1, (384,). Raises Unavailable if the model does not load."""
        if self._encoder is None:
            self._encoder = encoder.load(self._weights, self._options)
        ids = self._encoder.tokenize(_PREFIX + text)
        if len(ids) > self._encoder.window:
            ids = [*ids[: self._encoder.window - 1], ids[-1]]
        return np.asarray(self._encoder.encode([ids])[0], np.float32)

    @property
    def device_bytes(self) -> int:
        """The model's memory on GPUs now."""
        return self._encoder.device_bytes if self._encoder else 0

    def close(self) -> None:
        """Free the model."""
        if self._encoder is not None:
            self._encoder.close()


class LazySinger:
    """A singer that loads its voices for the first song. Implements `engines.music.engine.LyricsSinger`."""

    def __init__(self, load: Callable[[], Singer]) -> None:
        self._load = load
        self._singer: Singer | None = None

    def bars(self, lyrics: str, plan: TunePlan, voice: str) -> int:
        """Return how many bars the lyrics take. Raises InvalidRequest, and Unavailable if the model does not load."""
        return self._loaded().bars(lyrics, plan, voice)

    def sing(self, lyrics: str, melody: Iterable[Bar], plan: TunePlan, voice: str) -> Iterator[SungPhrase]:
        """Iterate over the phrases. Raises InvalidRequest, and Unavailable if the model does not load."""
        return self._loaded().sing(lyrics, melody, plan, voice)

    def _loaded(self) -> Singer:
        if self._singer is None:
            self._singer = self._load()
        return self._singer
