"""Write the table of drawings that the served model finds in prompts: names, usual sizes, and vectors of the names.

`python -m recipes.images.drawings DATA MODEL` after `recipes.images.dataset DATA`; it needs multilingual-e5-small.
Each drawing gets the caption by which the model draws it best, measured against the images that it was trained on.
"""

import argparse
import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from homeport.engines.images.pipelines.clipart.networks import SIDE, STYLES, Networks
from homeport.engines.images.pipelines.clipart.sampler import FlowSamplerParams, sample_latents
from homeport.engines.images.pipelines.clipart.vocabulary import TABLE, NamedDrawing, write_table
from recipes.images import concepts, dataset, embeddings, evaluate, packages
from recipes.images.concepts import Concept
from recipes.images.synonyms import SYNONYMS

_SYMBOLS, _PEOPLE, _GEOMETRIC = 8, 1, 96
_SKY = 59
_ON_EARTH = frozenset(
    [
        "snowman",
        "snowman without snow",
        "umbrella",
        "umbrella with rain drops",
        "umbrella on ground",
        "closed umbrella",
        "fire",
        "droplet",
        "water wave",
        "thermometer",
        "tornado",
        "fog",
        "cyclone",
        "snowflake",
    ]
)
"""Things that emojibase sorts under sky and weather."""
_BATCH = 64  # captions that are drawn together
_SCALES = {
    0.6: (*range(16, 23), 39, 42, *range(44, 49), 58, 61, 62, 65, *range(69, 83)),
    0.7: (40, 43),
    0.8: (*range(12), 12, 13, 14, 15, 36, 41, 60, 63, 64, 66, 67, 68, 96),
    0.85: (34, 35, 37, 38),
    1.0: (*range(23, 32), 56, 57, 59),
    1.1: (54, 55),
    1.25: (49, 50, 51, 52, 53),
}
"""Emojibase's subgroups by the size of their things: a person's is 1. In life sizes are much further apart."""
_OWN_SCALES = {
    1.3: "deciduous tree/evergreen tree/palm tree/leafless tree/Christmas tree/volcano/mountain/snow-capped mountain",
    1.2: "bed/couch and lamp/bathtub/elephant/mammoth/giraffe/whale/spouting whale/sauropod/T-Rex/dragon/rainbow",
    1.0: "chair/door/window/horse/camel/cow/ox/zebra/bison/rhinoceros/hippopotamus/bear/deer/gorilla/unicorn/ladder"
    "/umbrella/umbrella with rain drops",
    0.75: "television/desktop computer/guitar/violin/basket/backpack/package/bucket/broom",
    0.55: "mouse/rat/hamster/chipmunk/hatching chick/baby chick/front-facing baby chick/frog/snail/lizard/shrimp",
}
_WRITTEN = {name for names, _ in SYNONYMS.values() for name in names}
"""Names that are given to one drawing by hand."""


def main() -> None:
    """Write the table into the package."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("--table", type=Path, default=TABLE)
    arguments = parser.parse_args()
    folder = packages.fetch(arguments.folder / "packages", ["captions"])["captions"]
    shown = {row["code"] for row in json.loads((arguments.folder / "rows.json").read_text())}
    found = with_best_captions(list(drawings(folder, shown)), arguments.folder, evaluate.load(arguments.model))
    licence = (folder / "LICENSE").read_text()
    texts = [(name, owner) for owner, drawing in enumerate(found) for name in _embedded(drawing)]
    vectors = embeddings.embed([text for text, _ in texts])
    write_table(arguments.table, found, vectors, np.array([owner for _, owner in texts], np.int16), licence)
    print(f"{len(found)} drawings, {len(texts)} vectors, {arguments.table.stat().st_size} bytes")


def drawings(folder: Path, shown: set[str]) -> Iterator[NamedDrawing]:
    """Yield the drawings of emojibase's folder whose code is in `shown`. No symbols, except geometric shapes."""
    subgroups = {
        entry["hexcode"]: entry.get("subgroup", -1) for entry in json.loads((folder / "en" / "data.json").read_text())
    }
    scales = {subgroup: scale for scale, group in _SCALES.items() for subgroup in group}
    own = {name: scale for scale, names in _OWN_SCALES.items() for name in names.split("/")}
    labels: set[str] = set()
    for concept in concepts.read(folder):
        subgroup = subgroups[concept.code]
        is_symbol = concept.group == _SYMBOLS and subgroup != _GEOMETRIC
        if concept.code not in shown or is_symbol or not concept.chinese or concept.name in labels:
            continue
        labels.add(concept.name)
        further = SYNONYMS.get(concept.name, ((), ()))
        yield NamedDrawing(
            english=concept.name,
            chinese=concept.chinese,
            caption=concept.name,
            english_names=tuple(dict.fromkeys([*further[0], *_short_codes(concept)])),
            chinese_names=further[1],
            scale=own.get(concept.name, scales.get(subgroup, 0.8)),
            is_in_sky=subgroup == _SKY and concept.name not in _ON_EARTH,
        )


def with_best_captions(found: list[NamedDrawing], folder: Path, networks: Networks) -> list[NamedDrawing]:
    """Return the drawings with the caption of each whose predicted latents are nearest to the training images'.

    `folder`: the training data.
    """
    data = dataset.load(folder)
    codes: dict[str, str] = {}
    for code, name in data.names.items():
        codes.setdefault(name, code)
    said: dict[str, list[str]] = {}
    for text in data.texts:
        if not text.colour and text.language in {"en", "zh"}:
            said.setdefault(text.code, []).append(text.text)
    targets = _targets(data, networks)
    choices = [(owner, text) for owner, drawing in enumerate(found) for text in said[codes[drawing.english]]]
    vectors = embeddings.embed([text for _, text in choices])
    errors = np.zeros(len(choices), np.float32)
    for start in range(0, len(choices), _BATCH):
        part = slice(start, start + _BATCH)
        for style in STYLES:
            drawn = _predicted(networks, vectors[part], style)
            for index, (owner, _) in enumerate(choices[part]):
                target = targets.get((codes[found[owner].english], style))
                if target is not None:
                    errors[start + index] += float(((drawn[index] - target) ** 2).mean())
    best: dict[int, int] = {}
    for index, (owner, _) in enumerate(choices):
        if owner not in best or errors[index] < errors[best[owner]]:
            best[owner] = index
    return [drawing._replace(caption=choices[best[owner]][1]) for owner, drawing in enumerate(found)]


def _targets(data: dataset.Dataset, networks: Networks) -> dict[tuple[str, int], NDArray[np.float32]]:
    """Return the latents of the training images in their own colors, by code and style."""
    targets = {}
    for row, pixels in zip(data.rows, data.pixels, strict=True):
        if not row.colour:
            with Image.fromarray(pixels) as image:
                large = np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BICUBIC))
            targets[row.code, row.style] = networks.encode(large)[0]
    return targets


def _predicted(networks: Networks, vectors: NDArray[np.float32], style: int) -> NDArray[np.float32]:
    """Return the latents that the model draws for captions, in few steps."""
    params = FlowSamplerParams(steps=2, guidance=1.0, seed=0, positive_vectors=vectors, style=style)
    *_, latents = sample_latents(networks, params)
    return latents


def _short_codes(concept: Concept) -> list[str]:
    """Return further English names of things; those of people are often verbs, which hijack sentences."""
    if concept.group == _PEOPLE:
        return []
    # The label is first, then the short codes; tags, which follow, name moods and places rather than the thing.
    texts = [caption.text for caption in concept.captions if caption.language == "en"]
    name = re.escape(concept.name.split(" ")[-1].lower())
    return [text for text in texts[1:] if re.search(rf"\b{name}\b", text) and text not in _WRITTEN]


def _embedded(drawing: NamedDrawing) -> list[str]:
    return [drawing.english, drawing.chinese, *drawing.english_names[:2], *drawing.chinese_names[:1]]


if __name__ == "__main__":
    main()
