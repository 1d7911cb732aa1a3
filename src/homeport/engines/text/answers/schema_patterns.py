"""Turns a JSON Schema's `pattern`, which is searched in a text, into a regular expression for the whole text.

Knows nothing of schemas beyond that keyword, or of grammars.
"""

import re
from collections.abc import Iterator

_SIGNS = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\(\?<?[=!]|[()|^$]|[^\\\[()|^$]+|.", re.DOTALL)
_UNKNOWN_ESCAPES = frozenset("bB123456789")


def whole_pattern(pattern: str) -> str | None:
    """Return the expression; None if it has what an automaton cannot check: lookaround, references, inner anchors."""
    branches = list(_branches(pattern))
    if None in branches:
        return None
    return "|".join(f"(?:{branch})" for branch in branches)


def _branches(pattern: str) -> Iterator[str | None]:
    """Yield each alternative at the top level for whole texts; None for one that cannot be expressed."""
    depth, signs = 0, list[str]()
    for sign in _SIGNS.findall(pattern):
        if sign == "|" and not depth:
            yield _anchored(signs)
            signs = []
            continue
        depth += (sign[0] == "(") - (sign == ")")
        signs.append(sign)
    yield _anchored(signs)


def _anchored(signs: list[str]) -> str | None:
    begins, ends = signs[:1] == ["^"], signs[-1:] == ["$"]
    inner = signs[1 if begins else 0 : -1 if ends else None]
    if any(_is_unknown(sign) for sign in inner):
        return None
    return f"{'' if begins else '(?s:.*)'}(?:{''.join(inner)}){'' if ends else '(?s:.*)'}"


def _is_unknown(sign: str) -> bool:
    return sign in ("^", "$") or sign.startswith("(?") or (sign[0] == "\\" and sign[1:] in _UNKNOWN_ESCAPES)
