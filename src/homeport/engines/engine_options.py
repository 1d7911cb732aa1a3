"""Checks and converts the options of an engine. Knows nothing of their meaning."""

from collections.abc import Mapping, Sequence
from typing import TypeVar

import msgspec

from homeport.domain.errors import Unavailable

Options = TypeVar("Options", bound=msgspec.Struct)


def read_options(
    kind: type[Options],
    options: Mapping[str, str | int | float | bool | None],
    engine: str,
    *,
    positive: Sequence[str] = (),
    not_negative: Sequence[str] = (),
) -> Options:
    """Convert options to `kind`; those in `positive` must be at least 1 or None, those in `not_negative` at least 0.

    Raises Unavailable that names the invalid option and the `engine`.
    """
    try:
        converted = msgspec.convert(dict(options), kind)
    except msgspec.ValidationError as error:
        raise Unavailable(f"Invalid options of the {engine} engine: {error}.") from error
    for name in (*positive, *not_negative):
        value, least = getattr(converted, name), int(name in positive)
        if value is not None and value < least:
            fault = f"`{name}` must be at least {least}, not {value}"
            raise Unavailable(f"Invalid options of the {engine} engine: {fault}.")
    return converted
