"""The held-out emoji as numbers, small enough to keep with the tests, which measure the card's recall again."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from homeport.engines.embeddings.dual_encoder.projection import Projection
from recipes.glance import evaluation
from recipes.glance.concepts import MEASURED
from recipes.glance.dataset import Dataset
from recipes.glance.evaluation import Recall


def write(file: Path, dataset: Dataset) -> None:
    """Write the network's outputs for the drawings of the test split, and the text model's vectors of their names."""
    drawings = evaluation.drawings_of(dataset, "test")
    codes = [code for code, concept in dataset.concepts.items() if concept.split == "test"]
    features, classes = evaluation.rows(dataset.seen, drawings)
    names = {language: dataset.vectors(dataset.names(codes, language)).astype(np.float16) for language in MEASURED}
    file.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(
        file,
        features=features.astype(np.float16),
        classes=classes.astype(np.float16),
        correct=np.array([codes.index(each.code) for each in drawings], np.int16),
        **names,  # type: ignore[arg-type]
    )


def measure(file: Path, trained: Projection) -> Mapping[str, Recall]:
    """Return the recall of names, by language."""
    with np.load(file) as kept:
        images = trained.project_images(kept["features"].astype(np.float32), kept["classes"].astype(np.float32))
        correct = kept["correct"].astype(np.int64)
        texts = {each: trained.project_texts(kept[each].astype(np.float32)) for each in MEASURED}
    return {
        language: evaluation.recall(np.asarray(images @ rows.T, np.float32), correct)
        for language, rows in texts.items()
    }
