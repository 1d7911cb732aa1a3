"""Rounds the bounds of numbers in a schema to values that llguidance enforces exactly, always inwards.

It computes with double precision, and with 64 bits for integers. Knows nothing of other keywords.
"""

import math
from decimal import Decimal
from typing import Any

_EXACT = 2.0**53  # integers up to this one are doubles
_EXACT_FRACTION = 1e15  # fractions of larger numbers are rounded when llguidance writes them
_LIMIT = 2.0**63
_LOWER = {"minimum": False, "exclusiveMinimum": True}
_UPPER = {"maximum": False, "exclusiveMaximum": True}


def narrow(schema: dict[str, Any]) -> str | None:
    """Replace the schema's bounds that are too large to be exact by the next ones inside that are.

    Returns the keyword of a bound that leaves no number which can be enforced, else None.
    """
    return _narrow(schema, _LOWER, "minimum", 1) or _narrow(schema, _UPPER, "maximum", -1)


def _narrow(schema: dict[str, Any], keywords: dict[str, bool], inclusive: str, inwards: int) -> str | None:
    """Narrow one end. `inwards`: 1 if larger numbers are inside, else -1."""
    for keyword, is_exclusive in keywords.items():
        value = schema.get(keyword)
        if isinstance(value, bool) or not isinstance(value, int | float) or not _is_inexact(value):
            continue
        bound = _inner(value, inwards, is_exclusive=is_exclusive)
        if inwards * bound >= _LIMIT:
            return keyword
        del schema[keyword]
        other = schema.get(inclusive)
        is_other_inner = isinstance(other, int | float) and inwards * other > inwards * bound
        schema[inclusive] = other if is_other_inner else int(bound)
    return None


def _is_inexact(value: float) -> bool:
    return abs(value) >= _EXACT or (abs(value) >= _EXACT_FRACTION and value != int(value))


def _inner(value: float, inwards: int, *, is_exclusive: bool) -> float:
    """Return the next integer inside a bound that is a double and of 64 bits; infinity if there is none."""
    if abs(value) < _EXACT:
        return float(math.ceil(value) if inwards > 0 else math.floor(value))
    if abs(value) >= _LIMIT:
        return inwards * (math.inf if inwards * value > 0 else -math.nextafter(_LIMIT, 0))
    inner = float(value)
    while math.isfinite(inner) and not _is_inside(inner, int(value), inwards, is_exclusive=is_exclusive):
        inner = math.nextafter(inner, inwards * math.inf)
    return inner


def _is_inside(number: float, bound: int, inwards: int, *, is_exclusive: bool) -> bool:
    """Return whether a number is inside a bound, both exactly and as it is written in decimal digits."""
    difference = min(inwards * (written - bound) for written in (int(number), int(Decimal(repr(number)))))
    return difference > 0 or (difference == 0 and not is_exclusive)
