"""The four forms of `prompt` and `input`: a text, texts, token ids, arrays of token ids. Knows nothing of endpoints.

Arrays of token ids may be long, so they are checked without a Python statement per id.
"""

from typing import Any

from homeport.domain import validation
from homeport.domain.errors import InvalidRequest
from homeport.domain.text import TextPrompt, TokenPrompt

PromptInput = str | list[str | int | list[int]]


def parse_prompts(
    name: str, given: PromptInput, max_items: int, *, allow_empty: bool = True
) -> tuple[TextPrompt | TokenPrompt, ...]:
    """Read a field in any of the four forms, with at most `max_items` texts or arrays.

    Raises InvalidRequest, also for empty texts unless `allow_empty`.
    """
    min_chars = 0 if allow_empty else 1
    if isinstance(given, str):
        return (_text(name, given, min_chars),)
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
    validation.check_items(name, given, max_items)
    return tuple(
        _tokens(f"{name}[{at}]", each) if isinstance(each, list) else _text(f"{name}[{at}]", str(each), min_chars)
        for at, each in enumerate(given)
    )


def _text(name: str, text: str, min_chars: int) -> TextPrompt:
    validation.check_length(name, text, len(text), min_chars)
    return TextPrompt(text)


def _tokens(name: str, ids: list[Any]) -> TokenPrompt:
    validation.check_items(name, ids, len(ids), 1)
    return TokenPrompt(validation.check_token_ids(name, ids))
