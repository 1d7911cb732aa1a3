"""From the JSON of a filter to a condition on the attributes of files. Knows nothing of searches."""

import math
from typing import Any

import msgspec

from homeport.domain import validation
from homeport.domain.errors import InvalidRequest, excerpt
from homeport.domain.vector_stores import AttributeValue, Filter

COMPARISONS = ("eq", "ne", "gt", "gte", "lt", "lte", "in", "nin")
COMPOUNDS = ("and", "or")
MAX_FILTERS, MAX_DEPTH = 64, 8
_MAX_VALUES = 256
_MAX_KEY_CHARS, _MAX_VALUE_CHARS = 64, 512


class _FilterBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    type: str = "eq"
    key: str | None = None
    value: Any = None
    filters: list[Any] | None = None


def to_filter(given: object, place: str) -> Filter | None:
    """Return the condition of a decoded filter; None: there is none. Raises InvalidRequest naming the field."""
    if given is None:
        return None
    left = [MAX_FILTERS]
    return _to_filter(given, place, left, 1)


def _to_filter(given: object, place: str, left: list[int], depth: int) -> Filter:
    left[0] -= 1
    if left[0] < 0 or depth > MAX_DEPTH:
        raise InvalidRequest(
            f"Invalid '{place}': at most {MAX_FILTERS} filters, and {MAX_DEPTH} inside each other, are allowed.",
            param=place,
            code="invalid_value",
        )
    try:
        body = msgspec.convert(given, _FilterBody)
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"Invalid '{place}': {excerpt(str(error))}.", param=place, code="invalid_type") from error
    validation.check_choice(f"{place}.type", body.type, (*COMPARISONS, *COMPOUNDS))
    if body.type in COMPOUNDS:
        if body.filters is None:
            raise validation.missing(f"{place}.filters")
        inner = [_to_filter(each, f"{place}.filters[{at}]", left, depth + 1) for at, each in enumerate(body.filters)]
        return Filter(body.type, filters=tuple(inner))
    if body.key is None:
        raise validation.missing(f"{place}.key")
    validation.check_length(f"{place}.key", body.key, _MAX_KEY_CHARS)
    return Filter(body.type, body.key, _to_value(body, f"{place}.value"))


def _to_value(body: _FilterBody, place: str) -> AttributeValue | tuple[str | float, ...]:
    if body.type in ("in", "nin"):
        if not isinstance(body.value, list):
            raise _wrong_type(place, "an array")
        validation.check_items(place, body.value, _MAX_VALUES)
        values = [_scalar(each, f"{place}[{at}]") for at, each in enumerate(body.value)]
        return tuple(values)
    return _scalar(body.value, place)


def _scalar(value: object, place: str) -> AttributeValue:
    if isinstance(value, str):
        validation.check_length(place, value, _MAX_VALUE_CHARS)
        return value
    if isinstance(value, bool | int | float) and math.isfinite(value):
        return value
    raise _wrong_type(place, "a string, number or boolean")


def _wrong_type(place: str, expected: str) -> InvalidRequest:
    return InvalidRequest(f"Invalid type for '{place}': expected {expected}.", param=place, code="invalid_type")
