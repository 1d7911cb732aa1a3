"""The trained head, and the rule for the category it is not trained for."""

import numpy as np
import pytest

from homeport.domain.moderation import CATEGORIES
from homeport.engines.moderation import head

MINORS, SEXUAL = CATEGORIES.index("sexual/minors"), CATEGORIES.index("sexual")


@pytest.mark.parametrize(
    "text",
    ["a child", "two kids", "a 15-year-old", "she is 9 years old", "Schoolgirls", "未成年", "小女孩", "15岁", "十二岁"],
)
def test_words_for_minors_are_recognized(text: str) -> None:
    """Children, teenagers and ages under eighteen are recognized in both languages."""
    assert head.is_young(text)


@pytest.mark.parametrize(
    "text", ["a woman", "25 years old", "a 30-year-old man", "childish", "二十岁", "35岁", "kidney"]
)
def test_words_for_adults_are_not_recognized(text: str) -> None:
    """Adults, their ages, and similar words are not recognized."""
    assert not head.is_young(text)


def test_the_rule_for_minors() -> None:
    """The score of `sexual/minors` is that of `sexual` if a minor is mentioned, else close to zero."""
    classifier_head = head.load_built_in()
    rows = np.zeros((2, 390), np.float32)
    old, young = classifier_head.judge(rows, ["nobody", "a child"])
    assert young[MINORS] == young[SEXUAL]
    assert old[MINORS] == pytest.approx(old[SEXUAL] / 100)
    assert classifier_head.thresholds[MINORS] == classifier_head.thresholds[SEXUAL] / 2


def test_scores_are_probabilities_for_any_input() -> None:
    """Every score is in 0..1, also far from the training data."""
    rows = np.random.default_rng(0).normal(0, 100, (20, 390)).astype(np.float32)
    scores = head.load_built_in().judge(rows, ["x"] * 20)
    assert scores.shape == (20, len(CATEGORIES))
    assert ((scores >= 0) & (scores <= 1)).all()
    assert len(head.load_built_in().thresholds) == len(CATEGORIES)
