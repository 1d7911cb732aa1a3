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
) -> Options:
    """Convert options to `kind`; those named in `positive` must be at least 1 or None.

    Raises Unavailable that names the invalid option and the `engine`.
    """
    try:
        converted = msgspec.convert(dict(options), kind)
    except msgspec.ValidationError as error:
        raise Unavailable(f"Invalid options of the {engine} engine: {error}.") from error
    for name in positive:
        value = getattr(converted, name)
        if value is not None and value < 1:
            raise Unavailable(f"Invalid options of the {engine} engine: `{name}` must be at least 1, not {value}.")
    return converted
