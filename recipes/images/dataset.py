"""The training set as files: images, their concepts, captions and embeddings.

Knows nothing of networks. `python -m recipes.images.dataset FOLDER` creates what is missing.
"""

import argparse
import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from recipes.images import concepts as concepts_of
from recipes.images import embeddings, packages, pictures
from recipes.images.concepts import COLOURS, Concept

_PER_CONCEPT = 7  # colors in which each thing is shown
_WEIGHTS = {0: 0.7, 1: 0.35, 3: 1.2, 4: 1.2, 5: 1.0, 6: 1.0, 7: 1.0, 8: 0.35}
_STYLE_WEIGHTS = {"noto": 1.0, "flat": 1.0, "fluent": 0.7, "fx": 0.5}
_RECOLOURED_WEIGHT = 0.12


@dataclass(frozen=True, slots=True)
class Row:
    """One image: its concept, style, color if recolored, and weight in training."""

    code: str
    style: int
    colour: str
    weight: float


@dataclass(frozen=True, slots=True)
class Text:
    """One caption of all images of `code` in `colour` (empty: the original)."""

    code: str
    colour: str
    text: str
    language: str
    held_out: bool


@dataclass(frozen=True, slots=True)
class Dataset:
    """The training set in memory. `pixels`: N x 64 x 64 x 3. `vectors`: M x 384, length 1, in the order of `texts`."""

    pixels: NDArray[np.uint8]
    rows: list[Row]
    texts: list[Text]
    vectors: NDArray[np.float32]
    names: dict[str, str]


def load(folder: Path) -> Dataset:
    """Load the training set. `vectors` is empty if the captions are not embedded yet."""
    vectors = folder / "vectors.npy"
    return Dataset(
        np.load(folder / "pixels.npy"),
        [Row(**row) for row in json.loads((folder / "rows.json").read_text())],
        [Text(**text) for text in json.loads((folder / "texts.json").read_text())],
        np.load(vectors) if vectors.exists() else np.zeros((0, embeddings.DIMENSIONS), np.float32),
        json.loads((folder / "names.json").read_text()),
    )


def build(folder: Path, styles: tuple[str, ...]) -> None:
    """Fetch the packages, draw, recolor and caption the images, and write the files."""
    needed = {*styles, "captions", *(("flat",) if "fluent" in styles else ())}
    folders = packages.fetch(folder / "packages", sorted(needed))
    concepts = {concept.code: concept for concept in concepts_of.read(folders["captions"])}
    names = {code: concept.name for code, concept in concepts.items()}
    fine, pixels, rows, shown = [], [], [], set()
    for style, code, large in pictures.drawings(folders, names, styles):
        concept = concepts[code]
        weight = _WEIGHTS[concept.group] * _STYLE_WEIGHTS[style]
        drawn = pictures.halved(large)
        fine.append(large)
        pixels.append(drawn)
        rows.append(Row(code, pictures.STYLES.index(style), "", weight))
        shown.add((code, ""))
        for colour in _colours(concept):
            turned = pictures.recoloured(drawn, COLOURS[colour][1])
            if turned is not None:
                held_out = concept.in_colour(colour)[0].held_out
                pixels.append(turned)
                rows.append(
                    Row(code, pictures.STYLES.index(style), colour, 0.0 if held_out else weight * _RECOLOURED_WEIGHT)
                )
                shown.add((code, colour))
    texts = [
        Text(code, colour, caption.text, caption.language, caption.held_out)
        for code, colour in sorted(shown)
        for caption in (
            concepts[code].in_colour(colour) if colour else (*concepts[code].captions, *concepts[code].phrases)
        )
    ]
    np.save(folder / "fine.npy", np.stack(fine))
    np.save(folder / "pixels.npy", np.stack(pixels))
    (folder / "names.json").write_text(json.dumps(names))
    (folder / "rows.json").write_text(json.dumps([asdict(row) for row in rows]))
    (folder / "texts.json").write_text(json.dumps([asdict(text) for text in texts], ensure_ascii=False))


def _colours(concept: Concept) -> list[str]:
    if not concept.takes_colours or not concept.chinese:
        return []
    return sorted(COLOURS, key=lambda colour: hash_of(f"{concept.code} {colour}"))[:_PER_CONCEPT]


def hash_of(key: str) -> int:
    """A hash of a text that is the same on every machine."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big")


def main() -> None:
    """Create what is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--styles", nargs="+", choices=pictures.STYLES, default=["flat", "noto"])
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    if not (arguments.folder / "texts.json").exists():
        build(arguments.folder, tuple(arguments.styles))
    loaded = load(arguments.folder)
    if len(loaded.vectors) != len(loaded.texts):
        np.save(arguments.folder / "vectors.npy", embeddings.embed([text.text for text in loaded.texts]))


if __name__ == "__main__":
    main()
