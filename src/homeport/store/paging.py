"""Reads one page of the rows of a table, or of a query, that has the columns `seq` (the order) and `id`."""

from collections.abc import Callable, Iterable
from typing import TypeVar

import sqlalchemy as sa

from homeport.domain.errors import InvalidRequest, excerpt
from homeport.domain.paging import Page, PageRequest

T = TypeVar("T")

_CHUNK_ROWS = 500


def fetch_page(
    connection: sa.Connection,
    table: sa.FromClause,
    page: PageRequest,
    in_list: sa.ColumnElement[bool],
    read: Callable[[Iterable[sa.RowMapping]], Iterable[T]],
    *filters: sa.ColumnElement[bool],
) -> Page[T]:
    """Return a page of the rows that meet `in_list` and the `filters`.

    `read` turns rows into items and may leave some out; then further rows are read until the page is full. `after` may
    be any row that meets `in_list`. Raises InvalidRequest if there is no such row.
    """
    seq = table.c.seq
    query = sa.select(table).where(in_list, *filters).order_by(seq.desc() if page.is_newest_first else seq.asc())
    last = None if page.after is None else _find_seq(connection, table, page.after, in_list)
    n_rows = None if page.limit is None else page.limit + 1
    items: list[T] = []
    while True:
        rest = query if last is None else query.where(seq < last if page.is_newest_first else seq > last)
        rows = connection.execute(rest.limit(n_rows)).mappings().all()
        for item in read(rows):
            if len(items) == page.limit:
                return Page(items=tuple(items), has_more=True)
            items.append(item)
        if n_rows is None or len(rows) < n_rows:
            return Page(items=tuple(items))
        last, n_rows = rows[-1]["seq"], max(n_rows, _CHUNK_ROWS)


def of_project(table: sa.Table, project: str | None) -> sa.ColumnElement[bool]:
    """Return the condition that a row belongs to a project; None: to any."""
    return sa.true() if project is None else table.c.project == project


def _find_seq(connection: sa.Connection, table: sa.FromClause, after: str, in_list: sa.ColumnElement[bool]) -> int:
    seq: int | None = connection.execute(sa.select(table.c.seq).where(table.c.id == after, in_list)).scalar()
    if seq is None:
        raise InvalidRequest(
            f"Invalid 'after': the list has no object with the id '{excerpt(after)}'. Use the id of an object in the "
            "list.",
            param="after",
        )
    return seq
