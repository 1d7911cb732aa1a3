"""Pages of rows, on SQLite and PostgreSQL."""

from collections.abc import Iterable, Iterator

import pytest
import sqlalchemy as sa

from homeport.domain.errors import InvalidRequest
from homeport.domain.paging import Page, PageRequest
from homeport.store import paging
from homeport.store.database import Database

ROWS = sa.Table(
    "paged",
    sa.MetaData(),
    sa.Column("seq", sa.Integer, primary_key=True),
    sa.Column("id", sa.String(16), nullable=False),
    sa.Column("owner", sa.String(16), nullable=False),
)
FIVE = ("r5", "r4", "r3", "r2", "r1")


@pytest.fixture
def rows(empty: Database) -> Database:
    """A table with five rows of `one` and a row of `two`."""
    with empty.write_transaction() as connection:
        ROWS.create(connection)
        values = [{"seq": seq, "id": f"r{seq}", "owner": "two" if seq == 6 else "one"} for seq in range(1, 7)]
        connection.execute(sa.insert(ROWS), values)
    return empty


def fetch(
    database: Database, page: PageRequest, *filters: sa.ColumnElement[bool], omit: Iterable[str] = ()
) -> Page[str]:
    """Return a page of the ids of `one`, without those of `omit`."""

    def read(found: Iterable[sa.RowMapping]) -> Iterator[str]:
        return (row["id"] for row in found if row["id"] not in omit)

    with database.read_transaction() as connection:
        return paging.fetch_page(connection, ROWS, page, ROWS.c.owner == "one", read, *filters)


def test_a_page_without_limits_has_all_rows(rows: Database) -> None:
    """Without `limit` and `after` the page has all rows of the list, in either order."""
    assert fetch(rows, PageRequest()) == Page(items=FIVE)
    assert fetch(rows, PageRequest(is_newest_first=False)) == Page(items=FIVE[::-1])


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 9])
@pytest.mark.parametrize("is_newest_first", [True, False])
def test_pages_cover_the_list(rows: Database, limit: int, is_newest_first: bool) -> None:
    """Pages that follow each other have each row once, and only the last one says that no more follow."""
    found: list[str] = []
    page = Page[str](has_more=True)
    while page.has_more:
        page = fetch(
            rows, PageRequest(limit=limit, after=found[-1] if found else None, is_newest_first=is_newest_first)
        )
        assert 0 < len(page.items) <= limit
        found += page.items
    assert tuple(found) == FIVE[:: 1 if is_newest_first else -1]


def test_filters_do_not_hide_the_place_to_continue(rows: Database) -> None:
    """A page may follow a row that its filters exclude."""
    assert fetch(rows, PageRequest(after="r3"), ROWS.c.seq < 3) == Page(items=("r2", "r1"))


@pytest.mark.parametrize("chunk_rows", [1, 500])
def test_rows_that_are_left_out_do_not_shorten_a_page(
    rows: Database, chunk_rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If rows cannot be read or are not wanted, further ones are read until the page is full."""
    monkeypatch.setattr(paging, "_CHUNK_ROWS", chunk_rows)
    assert fetch(rows, PageRequest(limit=1), omit=("r5", "r4", "r3")) == Page(items=("r2",), has_more=True)
    assert fetch(rows, PageRequest(limit=2), omit=("r4", "r1")) == Page(items=("r5", "r3"), has_more=True)
    assert fetch(rows, PageRequest(limit=3), omit=("r4", "r1")) == Page(items=("r5", "r3", "r2"))
    assert fetch(rows, PageRequest(limit=3), omit=FIVE) == Page()


@pytest.mark.parametrize("after", ["r6", "r9", ""])
def test_an_unknown_row_is_no_place_to_continue(rows: Database, after: str) -> None:
    """An id of no row of the list is an error that names it."""
    with pytest.raises(InvalidRequest, match=f"the list has no object with the id '{after}'") as refused:
        fetch(rows, PageRequest(after=after))
    assert refused.value.param == "after"
