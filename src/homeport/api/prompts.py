"""The four forms of `prompt` and `input`: a text, texts, token ids, arrays of token ids.

Knows nothing of endpoints. Lists may be long, so they are checked without a Python statement per item.
"""

from typing import Any

from homeport.api import validation
from homeport.domain.errors import InvalidRequest
from homeport.domain.text import TextPrompt, TokenPrompt

Given = str | list[str | int | list[int]]


def parse_prompts(name: str, given: Given, most: int) -> tuple[TextPrompt | TokenPrompt, ...]:
    """Read a field in any of the four forms, with at most `most` texts or arrays. Raises InvalidRequest."""
    if isinstance(given, str):
        return (TextPrompt(given),)
    validation.check_items(name, given, len(given), 1)
    if len(set(map(type, given))) > 1:
        raise InvalidRequest(
            f"Invalid type for '{name}': expected a string, an array of strings, an array of integers, or an array "
            "of arrays of integers, but got an array of mixed types instead.",
            param=name,
            code="invalid_type",
        )
    if isinstance(given[0], int):
        return (_tokens(name, given),)
    validation.check_items(name, given, most)
    return tuple(
        _tokens(f"{name}[{at}]", each) if isinstance(each, list) else TextPrompt(str(each))
        for at, each in enumerate(given)
    )


def _tokens(name: str, ids: list[Any]) -> TokenPrompt:
    validation.check_items(name, ids, len(ids), 1)
    return TokenPrompt(validation.check_token_ids(name, ids))
