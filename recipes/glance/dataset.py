"""Everything that training and measuring read: concepts, class names, pictures and texts as numbers."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np
from PIL import Image

from homeport.formats import torch_checkpoint
from recipes.glance import archives, concepts, features, pictures
from recipes.glance.concepts import Concept, Stamp
from recipes.glance.features import Floats, Seen, TextVectors

PLAIN, TRIMMED = "plain", "trimmed"


class Drawing(msgspec.Struct, frozen=True):
    """A picture of an emoji: the set, its concept's code, and how it is framed; the row of its set's features."""

    set: str
    code: str
    variant: str
    row: int


class Dataset(msgspec.Struct, frozen=True):
    """All of it. `seen`: by set of emoji; `stamps` are in the order of `seen_stamps`.

    `class_weights`: the network's last layer, a row of weights of the features for each of `classes`.
    """

    concepts: Mapping[str, Concept]
    classes: Sequence[str]
    class_weights: Floats
    drawings: Sequence[Drawing]
    seen: Mapping[str, Seen]
    stamps: Sequence[Stamp]
    seen_stamps: Seen
    vectors: TextVectors

    def names(self, codes: Sequence[str], language: str) -> list[str]:
        """Return the names of concepts in a language, in English where that has none."""
        names = [self.concepts[code].names for code in codes]
        return [each.get(language, each["en"]) for each in names]


def load(folder: Path) -> Dataset:
    """Fetch, draw and compute what is missing in a folder; minutes at first, seconds later."""
    folders = archives.fetch(folder)
    known = {concept.code: concept for concept in concepts.read(folders["names"])}
    classes = concepts.classes(folders["classes"])
    by_name = {stamp.names["en"]: stamp for stamp in concepts.stamps(folders["stamps"])}
    network = features.image_network()
    seen = {
        name: features.see(folder / f"{name}.npz", network, _framed(folders, name, known)) for name in pictures.SETS
    }
    seen_stamps = features.see(folder / "stamps.npz", network, _stamps(by_name))
    drawings = [
        Drawing(name, code, variant, row)
        for name, each in seen.items()
        for row, (code, _, variant) in enumerate(key.partition("|") for key in each.keys)
    ]
    stamps = [by_name[key] for key in seen_stamps.keys]
    texts = [text for concept in known.values() for text in concept.texts]
    texts += [
        *(text for name in classes for text in concepts.class_texts(name)),
        *(text for stamp in stamps for text in stamp.names.values()),
    ]
    vectors = features.read_texts(folder / "texts.npz", texts)
    return Dataset(known, classes, _class_weights(folders["backbone"]), drawings, seen, stamps, seen_stamps, vectors)


def _framed(folders: Mapping[str, Path], name: str, known: Mapping[str, Concept]) -> Iterator[tuple[str, Image.Image]]:
    """Yield a set's pictures, for training also trimmed; the key is the code and the variant."""
    by_code = {pictures.plain(code): concept for code, concept in known.items()}
    for code, image in pictures.drawings(folders, name):
        if (concept := by_code.get(code)) is not None:
            yield f"{concept.code}|{PLAIN}", image
            if concept.split == "train":
                yield f"{concept.code}|{TRIMMED}", pictures.trimmed(image)


def _class_weights(package: Path) -> Floats:
    (file,) = package.rglob("*.pth")
    weights = torch_checkpoint.read(file.read_bytes())["_fc.weight"]
    return np.array(weights.values, np.float32).reshape(weights.shape)


def _stamps(by_name: Mapping[str, Stamp]) -> Iterator[tuple[str, Image.Image]]:
    """Yield the stamps that can be rendered: some drawings state no size."""
    for name, stamp in by_name.items():
        try:
            yield name, pictures.opened(stamp.file)
        except ValueError:
            continue
