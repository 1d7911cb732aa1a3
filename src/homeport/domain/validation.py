"""Checks of request fields: ranges, sizes, choices. Errors have OpenAI's texts.

Knows no endpoint. A check receives the field's name, its value (None: the field is absent, which is valid) and its
bounds, and raises InvalidRequest that names the field.
"""

import math
from collections.abc import Mapping, Sequence

from homeport.domain.errors import InvalidRequest, excerpt

MAX_METADATA_PAIRS, MAX_METADATA_KEY, MAX_METADATA_VALUE = 16, 64, 512
"""The maximum number of pairs of `metadata`, and the maximum length of a key and of a value in characters."""
LABEL_CHARS = 1024
"""The maximum length of a field that only identifies: a user, the author of a message, a prompt cache."""
INT64 = (-(2**63), 2**63 - 1)
TOKEN_ID_MAX = 2**31 - 1


def check_integer(name: str, value: int | None, low: int | None = None, high: int | None = None) -> None:
    """Check an integer that must lie in `low..high`."""
    _range("integer", name, value, low, high)


def check_number(name: str, value: float | None, low: float | None = None, high: float | None = None) -> None:
    """Check a number that must be finite and lie in `low..high`."""
    if value is not None and not math.isfinite(value):
        raise InvalidRequest(f"Invalid '{name}': expected a finite number.", param=name, code="invalid_value")
    _range("decimal", name, value, low, high)


def check_positive(name: str, value: float | None, high: float | None = None) -> None:
    """Check a number that must be finite, above 0 and at most `high`."""
    check_number(name, value, high=high)
    if value is not None and value <= 0:
        raise InvalidRequest(
            f"Invalid '{name}': decimal below minimum value. Expected a value > 0, but got {value} instead.",
            param=name,
            code="decimal_below_min_value",
        )


def check_items(name: str, value: Sequence[object] | None, maximum: int, minimum: int = 0) -> None:
    """Check an array's length."""
    if value is None:
        return
    if len(value) < minimum:
        raise InvalidRequest(
            f"Invalid '{name}': empty array. Expected an array with minimum length {minimum}, "
            f"but got an {'empty array' if not value else f'array with length {len(value)}'} instead.",
            param=name,
            code="empty_array",
        )
    if len(value) > maximum:
        raise InvalidRequest(
            f"Invalid '{name}': array too long. Expected an array with maximum length {maximum}, "
            f"but got an array with length {len(value)} instead.",
            param=name,
            code="array_above_max_length",
        )


def check_entries(name: str, value: Mapping[str, object] | None, maximum: int) -> None:
    """Check the number of entries of an object."""
    if value is not None and len(value) > maximum:
        raise InvalidRequest(
            f"Invalid '{name}': too many entries. Expected an object with at most {maximum}, but got {len(value)} "
            "instead.",
            param=name,
            code="object_above_max_properties",
        )


def check_length(name: str, value: str | None, maximum: int, minimum: int = 0) -> None:
    """Check a string's length in characters."""
    if value is None:
        return
    if len(value) < minimum:
        raise InvalidRequest(
            f"Invalid '{name}': empty string. Expected a string with minimum length {minimum}, "
            "but got an empty string instead.",
            param=name,
            code="empty_string",
        )
    if len(value) > maximum:
        raise InvalidRequest(
            f"Invalid '{name}': string too long. Expected a string with maximum length {maximum}, "
            f"but got a string with length {len(value)} instead.",
            param=name,
            code="string_above_max_length",
        )


def check_token_ids(name: str, ids: Sequence[int]) -> tuple[int, ...]:
    """Check token ids and return them. There may be many, so each is checked by itself only if one is wrong."""
    if ids and (min(ids) < 0 or max(ids) > TOKEN_ID_MAX):
        for at, each in enumerate(ids):
            check_integer(f"{name}[{at}]", each, 0, TOKEN_ID_MAX)
    return tuple(ids)


def check_choice(name: str, value: str | None, known: Sequence[str]) -> None:
    """Check a string that must be one of `known`."""
    if value is not None and value not in known:
        listed = ", ".join(f"'{each}'" for each in known)
        raise InvalidRequest(
            f"Invalid value: '{excerpt(value)}'. Supported values are: {listed}.", param=name, code="invalid_value"
        )


def check_metadata(name: str, value: Mapping[str, str] | None) -> None:
    """Check pairs of strings that are stored and returned, such as `metadata`."""
    pairs = value or {}
    check_items(name, list(pairs), MAX_METADATA_PAIRS)
    for key, text in pairs.items():
        check_length(name, key, MAX_METADATA_KEY)
        check_length(f"{name}.{key}", text, MAX_METADATA_VALUE)


def missing(name: str) -> InvalidRequest:
    """Make the error for a field that is required and absent."""
    return InvalidRequest(f"Missing required parameter: '{name}'.", param=name, code="missing_required_parameter")


def unsupported_field(name: str, why: str) -> InvalidRequest:
    """Make the error for a field, or a value of it, that asks for a feature that is not served."""
    return InvalidRequest(f"Unsupported parameter: '{name}'. {why}", param=name, code="unsupported_parameter")


def unsupported_part(kind: str, content: str) -> InvalidRequest:
    """Make the error for a content part of a type that this model or endpoint does not read. `content` holds it."""
    return InvalidRequest(
        f"Invalid content type. {kind} is only supported by certain models.",
        param=content,
        code="unsupported_content_type",
    )


def _range(kind: str, name: str, value: float | None, low: float | None, high: float | None) -> None:
    if value is None:
        return
    if low is not None and value < low:
        what, side, bound = "below minimum value", "below_min", f">= {low}"
    elif high is not None and value > high:
        what, side, bound = "above maximum value", "above_max", f"<= {high}"
    else:
        return
    raise InvalidRequest(
        f"Invalid '{name}': {kind} {what}. Expected a value {bound}, but got {excerpt(str(value))} instead.",
        param=name,
        code=f"{kind}_{side}_value",
    )
