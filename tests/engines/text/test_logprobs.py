"""Scores are the log-softmax of the raw logits."""

import numpy as np
import pytest

from homeport.engines.text.logprobs import FLOOR, score


def test_scores_are_log_softmax() -> None:
    """Each row's score and alternatives equal a float64 log-softmax, alternatives likeliest first."""
    rows = (np.random.default_rng(2).standard_normal((4, 700)) * 5 + 40).astype(np.float32)
    exact = rows.astype(np.float64)
    exact -= np.log(np.exp(exact).sum(axis=1, keepdims=True))
    for index, scored in enumerate(score(rows, [0, 699, 5, 6], [5, 0, 1, 700])):
        k = [5, 0, 1, 700][index]
        assert scored.token == [0, 699, 5, 6][index]
        assert scored.logprob == pytest.approx(exact[index, scored.token], abs=1e-5)
        order = np.argsort(-exact[index], kind="stable")[:k]
        assert [token for token, _ in scored.top] == order.tolist()
        assert [value for _, value in scored.top] == pytest.approx(exact[index, order].tolist(), abs=1e-5)


def test_equal_logits_are_listed_by_id() -> None:
    """Of equally likely tokens, those with lower ids are the alternatives."""
    (scored,) = score(np.zeros((1, 1000), dtype=np.float32), [999], [3])
    assert [token for token, _ in scored.top] == [0, 1, 2]


def test_more_alternatives_than_tokens() -> None:
    """Requesting more alternatives than there are tokens returns all tokens."""
    (scored,) = score(np.array([[1.0, 3.0, 2.0]], dtype=np.float32), [0], [20])
    assert [token for token, _ in scored.top] == [1, 2, 0]


def test_impossible_tokens_have_a_finite_score() -> None:
    """A logit of minus infinity is reported as a number, because JSON has no infinity."""
    (scored,) = score(np.array([[0.0, -np.inf]], dtype=np.float32), [1], [2])
    assert scored.logprob == FLOOR
    assert scored.top == ((0, 0.0), (1, FLOOR))
