"""Scores are the log-softmax of the raw logits."""

import numpy as np
import pytest

from homeport.engines.text.logprobs import FLOOR, score


def test_scores_are_log_softmax() -> None:
    """Each row's score and alternatives equal a float64 log-softmax, alternatives likeliest first."""
    rows = (np.random.default_rng(2).standard_normal((4, 700)) * 5 + 40).astype(np.float32)
    exact = rows.astype(np.float64)
    exact -= np.log(np.exp(exact).sum(axis=1, keepdims=True))
    for index, found in enumerate(score(rows, [0, 699, 5, 6], [5, 0, 1, 700])):
        k = [5, 0, 1, 700][index]
        assert found.token == [0, 699, 5, 6][index]
        assert found.logprob == pytest.approx(exact[index, found.token], abs=1e-5)
        order = np.argsort(-exact[index], kind="stable")[:k]
        assert [token for token, _ in found.top] == order.tolist()
        assert [value for _, value in found.top] == pytest.approx(exact[index, order].tolist(), abs=1e-5)


def test_equal_logits_are_listed_by_id() -> None:
    """Among tokens equally likely, the lower ids are the alternatives."""
    (found,) = score(np.zeros((1, 1000), dtype=np.float32), [999], [3])
    assert [token for token, _ in found.top] == [0, 1, 2]


def test_more_alternatives_than_tokens() -> None:
    """Asking for more alternatives than there are tokens gives them all."""
    (found,) = score(np.array([[1.0, 3.0, 2.0]], dtype=np.float32), [0], [20])
    assert [token for token, _ in found.top] == [1, 2, 0]


def test_impossible_tokens_have_a_finite_score() -> None:
    """A logit of minus infinity is reported as a number, because JSON has no infinity."""
    (found,) = score(np.array([[0.0, -np.inf]], dtype=np.float32), [1], [2])
    assert found.logprob == FLOOR
    assert found.top == ((0, 0.0), (1, FLOOR))
