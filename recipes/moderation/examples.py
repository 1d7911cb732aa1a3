"""Labeled lines, read from files: `## label+label` begins a section, every other line is an example.

A label implies its broader categories, as in OpenAI's descriptions: a threat against a group is also hate. Knows
nothing of vectors.
"""

from pathlib import Path
from random import Random

import msgspec
import numpy as np
from numpy.typing import NDArray

from homeport.engines.moderation.head import TRAINED

DATA = Path(__file__).parent / "data"
LANGUAGES = {"en": "English", "zh": "Chinese"}

FOLDS, NEIGHBOURS, SEED = 5, 3, 7

_IMPLIED = {
    "hate/threatening": ("hate", "violence"),
    "harassment/threatening": ("harassment", "violence"),
    "self-harm/intent": ("self-harm",),
    "self-harm/instructions": ("self-harm",),
    "violence/graphic": ("violence",),
    "illicit/violent": ("illicit",),
}
_HARMLESS = "ok"


class Example(msgspec.Struct, frozen=True):
    """One text, its language and its labels; a harmless text has none.

    `fold`: only examples of the same fold may share text.
    """

    text: str
    language: str
    labels: frozenset[str]
    fold: int = 0


def read(split: str) -> list[Example]:
    """The examples of a split (`train`, `test`), all languages. Raises ValueError for an unknown label."""
    return [each for language in LANGUAGES for each in _file(DATA / f"{split}.{language}.txt", language)]


def among_others(known: list[Example]) -> list[Example]:
    """Assign folds, and repeat each example once or twice among harmless ones of its language and fold.

    In use, a window also contains several sentences, one of which may be harmful.
    """
    random = Random(SEED)
    folds = [number % FOLDS for number in range(len(known))]
    random.shuffle(folds)
    own = [msgspec.structs.replace(each, fold=fold) for each, fold in zip(known, folds, strict=True)]
    calm: dict[tuple[str, int], list[str]] = {}
    for each in own:
        if not each.labels:
            calm.setdefault((each.language, each.fold), []).append(each.text)
    mixed = []
    for each in own:
        for _ in range(2 if each.labels else 1):
            texts = random.sample(calm[each.language, each.fold], random.randint(1, NEIGHBOURS))
            texts.insert(random.randint(0, len(texts)), each.text)
            mixed.append(msgspec.structs.replace(each, text=(" " if each.language == "en" else "").join(texts)))
    return [*own, *mixed]


def targets(examples: list[Example]) -> NDArray[np.float32]:
    """One row per example and one column per trained category; 1 if the category applies."""
    return np.array([[category in each.labels for category in TRAINED] for each in examples], np.float32)


def _file(file: Path, language: str) -> list[Example]:
    labels: frozenset[str] = frozenset()
    found = []
    for line in file.read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            named = {label for label in line.removeprefix("## ").split("+") if label != _HARMLESS}
            if unknown := named - set(TRAINED):
                raise ValueError(f"{file.name}: unknown labels {unknown}")
            labels = frozenset(named | {more for label in named for more in _IMPLIED.get(label, ())})
        elif line.strip():
            found.append(Example(line.strip(), language, labels))
    return found
