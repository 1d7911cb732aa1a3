"""The classifier head, trained for Homeport: from a text's vector and its toxicity to a score per category.

Weights and thresholds are in the file next to this module; `recipes/moderation` trains them, and
docs/moderation-card.md has their quality. Knows nothing of how texts become vectors.
"""

import re
from importlib import resources

import numpy as np
from numpy.typing import NDArray

from homeport.domain.moderation import CATEGORIES

Floats = NDArray[np.float32]

TRAINED = tuple(category for category in CATEGORIES if category != "sexual/minors")
"""The categories with training examples. For sexual content about minors there are none: a rule replaces them."""

_MINORS, _SEXUAL = CATEGORIES.index("sexual/minors"), CATEGORIES.index("sexual")
_NO_MINOR_FACTOR = 0.01  # of the sexual score, if the text mentions no minor
# Words for persons who are or may be children. `girl` and `boy` are also used of adults; they count, to be safe.
_MINOR_TERMS = re.compile(
    r"\b(child(ren)?|kids?|minors?|under-?aged?|pre-?teens?|teen(s|ager|agers|aged)?|toddlers?|infants?|bab(y|ies)|"
    r"school-?(girl|boy|kid|child)(s|ren)?|pupils?|(little|young) (girl|boy|one)s?|girls?|boys?|juveniles?|"
    r"adolescents?|loli(ta|con)?|shota(con)?|([1-9]|1[0-7])[- ]?(years?|yrs?)[- ]?old|(aged?|age of) ([1-9]|1[0-7])|"
    r"(one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen)"
    r"[- ]years?[- ]old)\b"
    r"|儿童|兒童|孩子|小孩|孩童|幼童|幼女|幼儿|婴儿|未成年|少女|少年|女童|男童|萝莉|蘿莉|正太|小学生|小學生|初中生|中学生|"
    r"高中生|女学生|男学生|小女孩|小男孩|女孩|男孩|(?<!\d)([1-9]|1[0-7])\s*[岁歲]|(?<!十)[一二三四五六七八九]岁|(?<![一二三四五六七八九])十[一二三四五六七]?岁",
    re.IGNORECASE,
)


class ClassifierHead:
    """The trained layers. `thresholds`: of each category, in the order of `CATEGORIES`."""

    def __init__(self, weights: dict[str, Floats]) -> None:
        self._weights = weights
        own = dict(zip(TRAINED, map(float, weights["thresholds"]), strict=True))
        own["sexual/minors"] = own["sexual"] / 2
        self.thresholds = tuple(own[category] for category in CATEGORIES)

    def judge(self, rows: Floats, texts: list[str]) -> Floats:
        """Return scores in 0..1, float32 (n, categories), from each text's features and the text itself."""
        trained = forward(self._weights, rows)
        scores = np.insert(trained, _MINORS, 0.0, axis=1)
        for row, text in zip(scores, texts, strict=True):
            row[_MINORS] = row[_SEXUAL] * (1 if is_young(text) else _NO_MINOR_FACTOR)
        return scores


def is_young(text: str) -> bool:
    """Return whether a text has a word for a person who is or may be a child."""
    return _MINOR_TERMS.search(text) is not None


def features(vectors: Floats, words: Floats) -> Floats:
    """Return the input of the layers: the vector, and the toxicity probabilities as scaled log odds."""
    odds = np.log(np.clip(words, 1e-4, 1 - 1e-4) / (1 - np.clip(words, 1e-4, 1 - 1e-4)))
    return np.concatenate([vectors, odds / 10], axis=1, dtype=np.float32)


def forward(weights: dict[str, Floats], rows: Floats) -> Floats:
    """Apply the layers: standardized features, one hidden layer, one output per trained category; (n, 12)."""
    standardized = (rows - weights["mean"]) / weights["spread"]
    hidden = np.tanh(standardized @ weights["hidden.kernel"] + weights["hidden.bias"])
    logits = hidden @ weights["answers.kernel"] + weights["answers.bias"]
    return np.asarray(1 / (1 + np.exp(-logits)), np.float32)


def load_built_in() -> ClassifierHead:
    """Load the head that is part of this version."""
    with resources.files("homeport.engines.moderation").joinpath("head.npz").open("rb") as file:
        arrays = np.load(file, allow_pickle=False)
        return ClassifierHead({name: arrays[name] for name in arrays.files})
