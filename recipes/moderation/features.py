"""Texts to features and scores, with the engine's code and the installed models. Knows nothing of labels."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import platformdirs
from numpy.typing import NDArray

from homeport.engines.llama import encoder
from homeport.engines.moderation.engine import FeatureExtractor
from homeport.engines.moderation.head import ClassifierHead
from homeport.engines.moderation.toxicity_model import ToxicityModel
from homeport.models.model_store import ModelStore

Floats = NDArray[np.float32]


@contextmanager
def reader(library: Path | None = None) -> Iterator[FeatureExtractor]:
    """A feature extractor with the models in HOMEPORT_HOME. Raises SystemExit if they are not installed."""
    home = Path(os.environ.get("HOMEPORT_HOME") or platformdirs.user_data_path("homeport", appauthor=False))
    store = ModelStore(home)
    own, e5 = store.find("homeport-moderation"), store.find("multilingual-e5-small")
    if own is None or e5 is None:
        raise SystemExit("Run `homeport pull homeport-moderation` first.")
    vectors = encoder.load(e5.files["weights"], encoder.EncoderOptions(library=library))
    try:
        yield FeatureExtractor(vectors, ToxicityModel(own.files["weights"]))
    finally:
        vectors.close()


def features(reader: FeatureExtractor, texts: list[str]) -> Floats:
    """The inputs of the head, one row per text, each text as one window."""
    return np.concatenate([reader.features(chunk) for chunk in reader.chunks([*map(reader.window, texts)])])


def scores(reader: FeatureExtractor, trained: ClassifierHead, texts: list[str]) -> Floats:
    """The engine's scores, one row of all categories per text of any length."""
    rows = []
    for text in texts:
        cut = [window for window in reader.windows(text) if window is not None]
        found = [trained.judge(reader.features(chunk), [w.text for w in chunk]) for chunk in reader.chunks(cut)]
        rows.append(np.concatenate(found).max(axis=0))
    return np.stack(rows)
