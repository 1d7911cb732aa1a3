"""Chinese in one script or the other: models write whichever they like. Knows nothing of sound."""

from collections.abc import Callable
from functools import cache

import opencc

_TABLES = {"simplified": "t2s", "traditional": "s2tw"}  # s2t prefers forms that few write today, 喫 for 吃


def script_of(text: str) -> str | None:
    """The script that a Chinese text is in; None where both write it alike."""
    if converter_to("simplified")(text) != text:
        return "traditional"
    return "simplified" if converter_to("traditional")(text) != text else None


@cache
def converter_to(script: str) -> Callable[[str], str]:
    """The function that writes Chinese text in `simplified` or `traditional` script; other text stays as it is."""
    converter = opencc.OpenCC(_TABLES[script])
    return lambda text: str(converter.convert(text))
