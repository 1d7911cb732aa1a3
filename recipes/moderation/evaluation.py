"""Measures the whole engine, including windows and the rule, on texts that were not used for training."""

from collections import Counter
from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from homeport.domain.moderation import CATEGORIES
from homeport.engines.moderation.engine import FeatureExtractor
from homeport.engines.moderation.head import TRAINED, ClassifierHead
from recipes.moderation import examples, features, third_party
from recipes.moderation.measures import Measured, measure


class Evaluation(msgspec.Struct, frozen=True):
    """The figures of the card. `own`: by language and category.

    `harmless`: by language, the number of harmless lines and how many of them are flagged. `missed`: by language, the
    number of harmful lines and how many of them are flagged in no category.
    """

    thresholds: dict[str, float]
    own: dict[str, dict[str, Measured]]
    harmless: dict[str, tuple[int, int]]
    missed: dict[str, tuple[int, int]]
    flagged_wrongly: dict[str, list[str]]
    others: dict[str, Measured]
    lines: dict[str, Counter[str]]


def evaluate(reader: FeatureExtractor, trained: ClassifierHead) -> Evaluation:
    """Measure on the lines of this project and on the third-party set."""
    thresholds = dict(zip(CATEGORIES, trained.thresholds, strict=True))
    held = examples.read("test")
    scores = features.scores(reader, trained, [each.text for each in held])
    flags = scores >= np.array(trained.thresholds, np.float32)
    own, harmless, missed, wrongly = {}, {}, {}, {}
    for language in examples.LANGUAGES:
        here = np.array([each.language == language for each in held])
        harmful = np.array([bool(each.labels) for each in held])
        own[language] = {
            category: measure(
                scores[here, CATEGORIES.index(category)],
                np.array([category in each.labels for each in held])[here],
                thresholds[category],
            )
            for category in TRAINED
        }
        any_flag = flags.any(axis=1)
        harmless[language] = (int((here & ~harmful).sum()), int((here & ~harmful & any_flag).sum()))
        missed[language] = (int((here & harmful).sum()), int((here & harmful & ~any_flag).sum()))
        wrongly[language] = [held[at].text for at in np.flatnonzero(here & ~harmful & any_flag)]
    return Evaluation(
        thresholds, own, harmless, missed, wrongly, _others(reader, trained), _lines(examples.read("train"))
    )


def _others(reader: FeatureExtractor, trained: ClassifierHead) -> dict[str, Measured]:
    rated = third_party.read()
    scores = features.scores(reader, trained, [each.text for each in rated])
    found = {}
    for category in dict.fromkeys(each.category for each in rated):
        here: NDArray[np.bool_] = np.array([each.category == category for each in rated])
        wanted = np.array([each.is_harmful for each in rated])[here]
        column = CATEGORIES.index(category)
        found[category] = measure(scores[here, column], wanted, trained.thresholds[column])
    return found


def _lines(known: Sequence[examples.Example]) -> dict[str, Counter[str]]:
    """The number of examples by language and label; those without a label count as `harmless`."""
    found: dict[str, Counter[str]] = {language: Counter() for language in examples.LANGUAGES}
    for each in known:
        found[each.language].update(each.labels or {"harmless"})
    return found
