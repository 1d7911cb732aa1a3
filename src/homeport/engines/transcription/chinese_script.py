"""Converts Chinese text between simplified and traditional script, since models may write either."""

from collections.abc import Callable
from functools import cache

import opencc

_TABLES = {"simplified": "t2s", "traditional": "s2tw"}  # s2t prefers forms that are rare today, such as 喫 for 吃


def script_of(text: str) -> str | None:
    """Return the script of a Chinese text; None if it is the same in both."""
    if converter_to("simplified")(text) != text:
        return "traditional"
    return "simplified" if converter_to("traditional")(text) != text else None


@cache
def converter_to(script: str) -> Callable[[str], str]:
    """Return the function that converts Chinese text to `simplified` or `traditional` script."""
    converter = opencc.OpenCC(_TABLES[script])
    return lambda text: str(converter.convert(text))
