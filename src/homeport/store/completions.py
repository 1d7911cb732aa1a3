"""Stored chat completions: the rows of answers that their callers asked to store. Synchronous."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import msgspec
import sqlalchemy as sa

from homeport.domain.errors import NotFound, excerpt
from homeport.domain.paging import Page, PageRequest
from homeport.domain.responses import StoredCompletion
from homeport.store import rows
from homeport.store.database import Database
from homeport.store.paging import fetch_page
from homeport.store.project_storage import SqlProjectStorage
from homeport.store.response_columns import read_texts, size_bytes, write_texts
from homeport.store.schema import STORED_COMPLETIONS as TABLE

_WRITTEN = ("metadata",)  # columns of JSON
_READERS: rows.Readers = {"messages": read_texts}
_SWEEP_ROWS = 500


class SqlCompletionRepository:
    """The stored chat completions of a database. `storage`: the limits of projects; `now`: the wall clock in seconds.

    Methods with an id raise NotFound if there is no such completion, also for another project's and for one that has
    expired.
    """

    def __init__(
        self, database: Database, storage: SqlProjectStorage | None = None, now: Callable[[], float] = time.time
    ) -> None:
        self._database = database
        self._storage = storage or SqlProjectStorage(database)
        self._now = now

    def add(self, completion: StoredCompletion) -> None:
        """Store a completion. Raises InvalidRequest over the project's storage limit, StorageFull."""
        values = msgspec.structs.asdict(completion)
        texts = {
            "metadata": msgspec.json.encode(completion.metadata).decode(),
            "body": completion.body,
            "messages": write_texts(completion.messages),
        }
        n_bytes = size_bytes(*texts.values())
        with self._database.write_transaction() as connection:
            self._storage.claim_quickly(connection, completion.project, n_bytes, "store")
            connection.execute(sa.insert(TABLE).values(**values | texts, bytes=n_bytes))

    def get(self, project: str, completion_id: str) -> StoredCompletion:
        """Return one completion."""
        with self._database.read_transaction() as connection:
            row = connection.execute(self._query(project, completion_id)).mappings().first()
        return _completion(_present(row, completion_id))

    def list_page(
        self, project: str, page: PageRequest, *, model: str | None = None, metadata: Mapping[str, str] | None = None
    ) -> Page[StoredCompletion]:
        """Return a page of completions, of one model and with these pairs if given.

        Raises InvalidRequest for an unknown `after`. Damaged rows are left out.
        """
        # Only the rows of the page are read completely, so that a filter that few meet loads no other answers.
        columns = sa.select(TABLE.c.seq, TABLE.c.id, TABLE.c.project, TABLE.c.model, TABLE.c.metadata)
        short = columns.where(self._is_current()).subquery()
        filters = [] if model is None else [short.c.model == model]

        def read(records: Iterable[sa.RowMapping]) -> Iterator[str]:
            for each in rows.values(records, _Short, _WRITTEN):
                if metadata is None or metadata.items() <= each.metadata.items():
                    yield each.id

        with self._database.read_transaction() as connection:
            ids = fetch_page(connection, short, page, short.c.project == project, read, *filters)
            found = connection.execute(sa.select(TABLE).where(TABLE.c.id.in_(ids.items))).mappings()
            by_id = {each.id: each for each in rows.values(found, StoredCompletion, _WRITTEN, _READERS)}
        items = tuple(by_id[completion_id] for completion_id in ids.items if completion_id in by_id)
        return Page(items=items, has_more=ids.has_more)

    def update(self, project: str, completion_id: str, metadata: Mapping[str, str]) -> StoredCompletion:
        """Replace the metadata."""
        text = msgspec.json.encode(dict(metadata)).decode()
        with self._database.write_transaction() as connection:
            row = self._lock(connection, project, completion_id)
            values = {"metadata": text, "bytes": row["bytes"] - size_bytes(row["metadata"]) + size_bytes(text)}
            connection.execute(sa.update(TABLE).where(TABLE.c.seq == row["seq"]).values(**values))
            return _completion(self._lock(connection, project, completion_id))

    def delete(self, project: str, completion_id: str) -> None:
        """Delete a completion."""
        with self._database.write_transaction() as connection:
            row = self._lock(connection, project, completion_id)
            connection.execute(sa.delete(TABLE).where(TABLE.c.seq == row["seq"]))
        self._database.erase_deleted()

    def sweep(self) -> int:
        """Delete what has expired; return the number of completions."""
        query = sa.select(TABLE.c.seq).where(TABLE.c.expires_at <= int(self._now())).limit(_SWEEP_ROWS)
        with self._database.read_transaction() as connection:
            is_any = connection.execute(query).first() is not None
        n_deleted = 0
        while is_any:
            with self._database.write_transaction() as connection:
                expired = connection.execute(query).scalars().all()
                connection.execute(sa.delete(TABLE).where(TABLE.c.seq.in_(expired)))
            n_deleted += len(expired)
            is_any = len(expired) == _SWEEP_ROWS
        if n_deleted:
            self._database.erase_deleted()
        return n_deleted

    def _query(self, project: str, completion_id: str) -> sa.Select[Any]:
        where = sa.and_(TABLE.c.id == completion_id, TABLE.c.project == project, self._is_current())
        return sa.select(TABLE).where(where)

    def _lock(self, connection: sa.Connection, project: str, completion_id: str) -> sa.RowMapping:
        """Return a row, locked until the transaction ends. Raises NotFound."""
        query = self._query(project, completion_id).with_for_update()
        return _present(connection.execute(query).mappings().first(), completion_id)

    def _is_current(self) -> sa.ColumnElement[bool]:
        return sa.or_(TABLE.c.expires_at.is_(None), TABLE.c.expires_at > int(self._now()))


class _Short(msgspec.Struct, frozen=True):
    """What a list needs of each completion."""

    id: str
    metadata: dict[str, str]


def _completion(row: sa.RowMapping) -> StoredCompletion:
    return rows.value(row, StoredCompletion, _WRITTEN, _READERS)


def _present(row: sa.RowMapping | None, completion_id: str) -> sa.RowMapping:
    if row is None:
        raise NotFound(
            f"Chat completion with id '{excerpt(completion_id, 100)}' not found.",
            param="completion_id",
            code="completion_not_found",
        )
    return row
