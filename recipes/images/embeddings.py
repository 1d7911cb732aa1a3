"""Captions as vectors, with the weights and code that the server uses: multilingual-e5-small.

Knows nothing of images.
"""

import os
from pathlib import Path

import numpy as np
import platformdirs
from numpy.typing import NDArray

from homeport.engines.llama import encoder
from homeport.models.model_store import ModelStore

DIMENSIONS = 384
_MODEL = "multilingual-e5-small"


def load(threads: int = 1) -> encoder.EmbeddingEncoder:
    """Load the installed weights. Raises SystemExit without them."""
    home = Path(os.environ.get("HOMEPORT_HOME") or platformdirs.user_data_path("homeport", appauthor=False))
    found = ModelStore(home).find(_MODEL)
    if found is None:
        raise SystemExit(f"Run `homeport pull {_MODEL}` first.")
    return encoder.load(found.files["weights"], encoder.EncoderOptions(threads=threads))


def embed(texts: list[str], threads: int = 1) -> NDArray[np.float32]:
    """Embed texts as queries (prefix "query: "), one row of length 1 each. Raises SystemExit without the weights."""
    captions = load(threads)
    try:
        ids = [captions.tokenize(f"query: {text}") for text in texts]
        order = sorted(range(len(ids)), key=lambda index: len(ids[index]))
        rows = np.zeros((len(ids), DIMENSIONS), np.float32)
        batch: list[int] = []
        for index in [*order, -1]:
            if batch and (index < 0 or _is_full(captions, [ids[i] for i in [*batch, index]])):
                rows[batch] = captions.encode([ids[i] for i in batch])
                batch = []
            batch.append(index)
        return rows
    finally:
        captions.close()


def _is_full(captions: encoder.EmbeddingEncoder, ids: list[list[int]]) -> bool:
    return len(ids) > captions.sequences or sum(map(len, ids)) > captions.batch
