"""The classification metrics of the legacy fine-tuning API."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.domain.training import Classification
from homeport.training.classification_metrics import compute_metrics

TWO = Classification(positive_class="yes", betas=(0.5, 1, 2))


def rows(scores: list[float]) -> list[list[float]]:
    """Return probabilities of no and yes."""
    return [[1 - score, score] for score in scores]


def test_two_classes_are_measured_by_the_positive_one() -> None:
    """Precision, recall and F-scores count the predicted class; both areas follow the order of the scores."""
    found = compute_metrics(rows([0.9, 0.8, 0.7, 0.4, 0.3, 0.1]), [1, 0, 1, 1, 0, 0], TWO, 1)
    expected = {
        "accuracy": 4 / 6,
        "precision": 2 / 3,
        "recall": 2 / 3,
        "f0.5": 2 / 3,
        "f1": 2 / 3,
        "f2": 2 / 3,
        "auprc": (1 / 1 + 2 / 3 + 3 / 4) / 3,
        "auroc": 7 / 9,
    }
    assert found == pytest.approx({f"classification/{name}": value for name, value in expected.items()})


def test_betas_weigh_recall_against_precision() -> None:
    """If precision is 1 and recall a third, a small beta results in more and a large one in less than F1."""
    found = compute_metrics(rows([0.9, 0.2, 0.1, 0.1]), [1, 1, 1, 0], TWO, 1)
    scores = [found[f"classification/f{beta}"] for beta in ("0.5", "1", "2")]
    assert scores == pytest.approx([1.25 / (0.25 * 3 + 1), 0.5, 5 / 13])


def test_undefined_metrics_are_omitted() -> None:
    """Without a positive example there is no recall and no area; without a prediction, no precision."""
    none = compute_metrics(rows([0.1, 0.2]), [0, 0], TWO, 1)
    assert none == {"classification/accuracy": 1.0}
    silent = compute_metrics(rows([0.1, 0.2]), [1, 0], TWO, 1)
    assert "classification/precision" not in silent
    assert (silent["classification/f1"], silent["classification/auroc"]) == (0.0, 0.0)


def test_many_classes_are_weighted() -> None:
    """Each class's F1 is weighted by its frequency."""
    probabilities = [[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.8, 0.1, 0.1], [0.1, 0.1, 0.8]]
    found = compute_metrics(probabilities, [0, 1, 1, 2], Classification(n_classes=3), None)
    expected = (1 * (2 / 3) + 2 * (2 / 3) + 1 * 1.0) / 4
    assert found == pytest.approx({"classification/accuracy": 0.75, "classification/weighted_f1_score": expected})


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 8)), min_size=2))
def test_the_area_is_the_share_of_pairs_in_order(answers: list[tuple[bool, int]]) -> None:
    """Counted pair by pair, ties as halves, the area under the curve is the same."""
    truths, scores = [int(truth) for truth, _ in answers], [score / 8 for _, score in answers]
    found = compute_metrics(rows(scores), truths, TWO, 1)
    high = [score for truth, score in zip(truths, scores, strict=True) if truth]
    low = [score for truth, score in zip(truths, scores, strict=True) if not truth]
    if not high or not low:
        assert "classification/auroc" not in found
        return
    wins = sum((one > other) + (one == other) / 2 for one in high for other in low)
    assert found["classification/auroc"] == pytest.approx(wins / (len(high) * len(low)))
