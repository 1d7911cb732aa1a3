"""Reads rows as typed values: each is checked, so that a damaged row is detected and does not affect others.

Knows no table.
"""

import logging
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import msgspec
import sqlalchemy as sa

from homeport.domain.errors import NotFound

S = TypeVar("S", bound=msgspec.Struct)
T = TypeVar("T")

_log = logging.getLogger("homeport.store")


def value(row: sa.RowMapping, kind: type[S], written: Iterable[str] = ()) -> S:
    """Convert a row to a struct. `written`: its columns of JSON. Raises NotFound for a damaged row."""
    try:
        values = {name: row[name] for name in kind.__struct_fields__}
        values |= {name: msgspec.json.decode(values[name]) for name in written if values[name] is not None}
        return msgspec.convert(values, kind)
    except (msgspec.MsgspecError, TypeError, ValueError) as error:
        name = str(row["id"])[:100]
        raise NotFound(f"The record of {name} is damaged and cannot be used: {error}", code="record_damaged") from error


def values(rows: Iterable[sa.RowMapping], kind: type[S], written: Iterable[str] = ()) -> Iterator[S]:
    """Convert rows, without damaged ones, which are logged."""
    for row in rows:
        try:
            yield value(row, kind, written)
        except NotFound as error:
            _log.error("%s", error)


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
