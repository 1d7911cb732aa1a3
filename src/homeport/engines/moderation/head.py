"""The part that was trained for this project: from a text's vector and the words' network to a score per category.

Weights and thresholds lie beside this file; `recipes/moderation` makes them and says what they are worth
(docs/moderation-card.md). Knows nothing of how texts become vectors.
"""

import re
from importlib import resources

import numpy as np
from numpy.typing import NDArray

from homeport.domain.moderation import CATEGORIES

Floats = NDArray[np.float32]

TRAINED = tuple(category for category in CATEGORIES if category != "sexual/minors")
"""The categories there are examples for. Nothing sexual about minors is written or collected: a rule stands in."""

_MINORS, _SEXUAL = CATEGORIES.index("sexual/minors"), CATEGORIES.index("sexual")
_NO_MINOR_FACTOR = 0.01  # of the sexual score, where nobody young is spoken of
# Words that say someone is a child or may be one. `girl` and `boy` are said of adults too; they count, to be careful.
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
    """The trained layers. `thresholds`: by category, in the order of `CATEGORIES`."""

    def __init__(self, weights: dict[str, Floats]) -> None:
        self._weights = weights
        own = dict(zip(TRAINED, map(float, weights["thresholds"]), strict=True))
        own["sexual/minors"] = own["sexual"] / 2
        self.thresholds = tuple(own[category] for category in CATEGORIES)

    def judge(self, rows: Floats, texts: list[str]) -> Floats:
        """Scores in 0..1, float32 (n, categories), of each text's features and itself."""
        trained = forward(self._weights, rows)
        scores = np.insert(trained, _MINORS, 0.0, axis=1)
        for row, text in zip(scores, texts, strict=True):
            row[_MINORS] = row[_SEXUAL] * (1 if is_young(text) else _NO_MINOR_FACTOR)
        return scores


def is_young(text: str) -> bool:
    """Whether a text has a word that says someone is a child, or may be."""
    return _MINOR_TERMS.search(text) is not None


def features(vectors: Floats, words: Floats) -> Floats:
    """What the layers read: the vector, and the words' probabilities as log odds, tamed."""
    odds = np.log(np.clip(words, 1e-4, 1 - 1e-4) / (1 - np.clip(words, 1e-4, 1 - 1e-4)))
    return np.concatenate([vectors, odds / 10], axis=1, dtype=np.float32)


def forward(weights: dict[str, Floats], rows: Floats) -> Floats:
    """The layers: features made alike in size, one hidden layer, one answer per trained category; (n, 12)."""
    alike = (rows - weights["mean"]) / weights["spread"]
    hidden = np.tanh(alike @ weights["hidden.kernel"] + weights["hidden.bias"])
    answers = hidden @ weights["answers.kernel"] + weights["answers.bias"]
    return np.asarray(1 / (1 + np.exp(-answers)), np.float32)


def built_in() -> ClassifierHead:
    """The head that comes with this version."""
    with resources.files("homeport.engines.moderation").joinpath("head.npz").open("rb") as file:
        found = np.load(file, allow_pickle=False)
        return ClassifierHead({name: found[name] for name in found.files})
