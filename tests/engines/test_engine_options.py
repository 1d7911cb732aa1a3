"""Options of engines are converted and checked."""

import msgspec
import pytest

from homeport.domain.errors import Unavailable
from homeport.engines.engine_options import read_options


class _Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    threads: int | None = None
    retain: int | None = None


def test_valid_options_are_converted() -> None:
    """Missing options have their defaults, and only those named as positive must be at least 1."""
    assert read_options(_Options, {"retain": 0}, "test", positive=("threads",)) == _Options(None, 0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threads": 0}, "Invalid options of the test engine: `threads` must be at least 1, not 0."),
        ({"retain": -1}, "Invalid options of the test engine: `retain` must be at least 0, not -1."),
        ({"threads": "two"}, r"Invalid options of the test engine: Expected `int | null`, got `str` - at `$.threads`."),
        ({"threds": 1}, "Invalid options of the test engine: Object contains unknown field `threds`."),
    ],
)
def test_invalid_options_are_named(options: dict[str, int | str], message: str) -> None:
    """An option of another type, too small or unknown is an error that names engine and option."""
    with pytest.raises(Unavailable) as raised:
        read_options(_Options, {**options}, "test", positive=("threads",), not_negative=("retain",))
    assert raised.value.message == message
