"""The forms of `prompt` and `input`."""

from typing import Any

import pytest

from homeport.api.prompts import parse_prompts
from homeport.domain.errors import InvalidRequest
from homeport.domain.text import TextPrompt, TokenPrompt


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("a", (TextPrompt("a"),)),
        (["a", "b"], (TextPrompt("a"), TextPrompt("b"))),
        ([1, 2], (TokenPrompt((1, 2)),)),
        ([[1], [2, 3]], (TokenPrompt((1,)), TokenPrompt((2, 3)))),
        (list(range(5)), (TokenPrompt((0, 1, 2, 3, 4)),)),
    ],
)
def test_all_four_shapes_are_read(given: Any, meant: Any) -> None:
    """A text, texts, token ids and arrays of token ids are read; token ids are one input, however many."""
    assert parse_prompts("input", given, 2) == meant


@pytest.mark.parametrize(
    ("given", "param", "code"),
    [
        ([], "input", "empty_array"),
        (["a", 1], "input", "invalid_type"),
        ([[1], "a"], "input", "invalid_type"),
        ([1, [1]], "input", "invalid_type"),
        (["a"] * 3, "input", "array_above_max_length"),
        ([[1]] * 3, "input", "array_above_max_length"),
        ([[1], []], "input[1]", "empty_array"),
        ([5, -1], "input[1]", "integer_below_min_value"),
        ([[5], [2, 2**31]], "input[1][1]", "integer_above_max_value"),
    ],
)
def test_what_is_wrong_is_named(given: Any, param: str, code: str) -> None:
    """Mixed types, an empty list, too many items and invalid ids are refused by their path."""
    with pytest.raises(InvalidRequest) as caught:
        parse_prompts("input", given, 2)
    assert (caught.value.param, caught.value.code) == (param, code)


@pytest.mark.parametrize(("given", "param"), [("", "input"), (["a", ""], "input[1]")])
def test_empty_texts_are_refused_if_they_may_not_be_empty(given: Any, param: str) -> None:
    """Empty texts are read, unless the endpoint does not allow them."""
    assert parse_prompts("input", given, 2)
    with pytest.raises(InvalidRequest) as caught:
        parse_prompts("input", given, 2, allow_empty=False)
    assert (caught.value.param, caught.value.code) == (param, "empty_string")
