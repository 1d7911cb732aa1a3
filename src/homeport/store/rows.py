"""Reads rows as typed values: each is checked, so that a damaged row is detected and does not affect others.

Knows no table.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeVar

import msgspec
import sqlalchemy as sa

from homeport.domain.errors import NotFound

S = TypeVar("S", bound=msgspec.Struct)
T = TypeVar("T")

_log = logging.getLogger("homeport.store")


Readers = Mapping[str, Callable[[str], object]]
"""Functions that convert the texts of columns. They raise what `msgspec` raises for a damaged text."""
_NONE: Readers = {}


def value(row: sa.RowMapping, kind: type[S], written: Iterable[str] = (), readers: Readers = _NONE) -> S:
    """Convert a row to a struct. `written`: its columns of JSON; `readers` convert further columns.

    Raises NotFound for a damaged row.
    """
    try:
        values = {name: row[name] for name in kind.__struct_fields__}
        values |= {name: msgspec.json.decode(values[name]) for name in written if values[name] is not None}
        values |= {name: read(values[name]) for name, read in readers.items()}
        return msgspec.convert(values, kind)
    except (msgspec.MsgspecError, TypeError, ValueError) as error:
        raise damaged(str(row["id"]), error) from error


def values(
    rows: Iterable[sa.RowMapping], kind: type[S], written: Iterable[str] = (), readers: Readers = _NONE
) -> Iterator[S]:
    """Convert rows, without damaged ones, which are logged."""
    for row in rows:
        try:
            yield value(row, kind, written, readers)
        except NotFound as error:
            _log.error("%s", error)


def damaged(name: str, error: Exception) -> NotFound:
    """Make the error for a record that cannot be read."""
    return NotFound(f"The record of {name[:100]} is damaged and cannot be used: {error}", code="record_damaged")


def each(items: Iterable[T], act: Callable[[T], object]) -> None:
    """Call `act` for every item, even if some fail. Raises the last error at the end."""
    failed: Exception | None = None
    for item in items:
        try:
            act(item)
        except Exception as error:
            failed = error
    if failed is not None:
        raise failed
