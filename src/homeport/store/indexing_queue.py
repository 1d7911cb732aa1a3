"""The queue of files that are to be indexed, and what is stored of each while it is. Synchronous.

A server changes a file only while it owns it, in one transaction, so a process that was suspended for long and resumes
changes nothing of a file that another one has taken over, or that was removed or cancelled.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from homeport.domain.errors import HomeportError, InvalidRequest, NotFound
from homeport.domain.vector_stores import (
    COMPLETED,
    FAILED,
    IN_PROGRESS,
    IndexedFile,
    IndexingError,
    StoreFile,
    TextChunk,
    VectorStore,
)
from homeport.store import word_counts
from homeport.store.database import Database
from homeport.store.project_storage import SqlProjectStorage
from homeport.store.schema import VECTOR_STORE_CHUNKS, VECTOR_STORE_FILES
from homeport.store.vector_store_rows import delete_chunks, encode, file_of, find_uncounted_store, revise

_ROWS_AT_ONCE = 500
_COMPLETE: Mapping[str, Any] = {"status": COMPLETED, "owner": "", "owned_until": 0.0}


class SqlIndexingQueue:
    """The queue of a database. `storage`: the limits of projects; `now`: the wall clock in seconds."""

    def __init__(
        self, database: Database, storage: SqlProjectStorage | None = None, now: Callable[[], float] = time.time
    ) -> None:
        self._database = database
        self._storage = storage or SqlProjectStorage(database)
        self._now = now
        self._damaged: set[int] = set()  # numbers of rows that cannot be read

    def claim(self, owner: str, lease_s: float, limit: int = 1) -> Sequence[tuple[StoreFile, VectorStore]]:
        """Take ownership of the oldest files that are neither indexed nor owned. Damaged rows are skipped.

        The stores are without the numbers and sizes of their files.
        """
        files = VECTOR_STORE_FILES
        while True:
            is_free = sa.and_(files.c.status == IN_PROGRESS, files.c.owned_until <= self._now())
            is_readable = [files.c.seq.not_in(self._damaged)] if self._damaged else []
            query = sa.select(files).where(is_free, *is_readable).order_by(files.c.seq).limit(limit)
            with self._database.read_transaction() as connection:
                found = connection.execute(query).mappings().all()
            if not found:
                return []  # the usual case, which needs no write lock
            damaged = {row["seq"] for row in found if not _is_readable(row)}
            if not damaged:
                break
            self._damaged |= damaged
        with self._database.write_transaction() as connection:
            rows = connection.execute(query.with_for_update(skip_locked=True)).mappings().all()
            claimed = [file_of(row) for row in rows]
            lease = {"owner": owner, "owned_until": self._now() + lease_s}
            where = files.c.seq.in_([each.seq for each in claimed])
            connection.execute(sa.update(files).where(where).values(**lease))
            of_projects = {each.store_id: each.project for each in claimed}
            stores = {id: find_uncounted_store(connection, project, id) for id, project in of_projects.items()}
            return [(each, stores[each.store_id]) for each in claimed]

    def renew(self, owner: str, lease_s: float) -> Sequence[int]:
        """Extend the ownership of all that `owner` owns; return their numbers."""
        files = VECTOR_STORE_FILES
        is_owned = sa.and_(files.c.owner == owner, files.c.status == IN_PROGRESS)
        with self._database.write_transaction() as connection:
            connection.execute(sa.update(files).where(is_owned).values(owned_until=self._now() + lease_s))
            return connection.execute(sa.select(files.c.seq).where(is_owned)).scalars().all()

    def release(self, owner: str, seq: int) -> None:
        """Give up the ownership of a file."""
        files = VECTOR_STORE_FILES
        where = sa.and_(files.c.seq == seq, files.c.owner == owner)
        with self._database.write_transaction() as connection:
            connection.execute(sa.update(files).where(where).values(owner="", owned_until=0.0))

    def add_chunks(self, owner: str, seq: int, texts: Sequence[str], window: int | None) -> None:
        """Store the texts of a file, cut into chunks. Raises NotFound, InvalidRequest over the storage limit."""
        values = [_row(seq, number, text) for number, text in enumerate(texts)]
        with self._database.write_transaction() as connection:
            file = self._find_owned(connection, owner, seq)
            n_bytes = self._claim_bytes(connection, file.project, values)
            self._replace_chunks(connection, [file], values)
            self._set(connection, seq, bytes=n_bytes, n_chunks=len(values), window=window)

    def add_complete(self, owner: str, files: Sequence[IndexedFile]) -> Sequence[HomeportError | None]:
        """Store all chunks of files with their vectors, and record that these are indexed, in one transaction.

        Returns for each file why it is not stored: NotFound, or InvalidRequest over the storage limit.
        """
        values = {each.seq: _complete_rows(each) for each in files}
        outcomes: list[HomeportError | None] = []
        changes: list[dict[str, Any]] = []
        with self._database.write_transaction() as connection:
            owned = self._find_all_owned(connection, owner, list(values))
            for each in files:
                try:
                    file = _require(owned.get(each.seq))
                    n_bytes = self._claim_bytes(connection, file.project, values[each.seq])
                except (NotFound, InvalidRequest) as error:
                    outcomes.append(error)
                    continue
                outcomes.append(None)
                numbers = {"bytes": n_bytes, "n_chunks": len(each.chunks), "window": each.window}
                changes.append({"of_seq": each.seq, **numbers})
            if changes:
                self._complete(connection, [owned[each["of_seq"]] for each in changes], changes, values)
        return outcomes

    def chunks_without_vector(self, seq: int, limit: int, after: int = -1) -> Sequence[TextChunk]:
        """Return the next chunks that have no vector yet, with numbers above `after`."""
        chunks = VECTOR_STORE_CHUNKS
        where = sa.and_(chunks.c.file_seq == seq, chunks.c.vector.is_(None), chunks.c.number > after)
        query = sa.select(chunks.c.number, chunks.c.text).where(where).order_by(chunks.c.number).limit(limit)
        with self._database.read_transaction() as connection:
            return [TextChunk(number=number, text=text) for number, text in connection.execute(query)]

    def add_vectors(self, owner: str, seq: int, chunks: Sequence[TextChunk]) -> None:
        """Store the vectors of chunks; those that have one keep it. Raises NotFound."""
        table = VECTOR_STORE_CHUNKS
        where = sa.and_(table.c.file_seq == seq, table.c.number == sa.bindparam("of_number"), table.c.vector.is_(None))
        values = [{"of_number": each.number, "vector": each.vector} for each in chunks]
        n_bytes = sum(len(each.vector) for each in chunks)
        with self._database.write_transaction() as connection:
            file = self._find_owned(connection, owner, seq)
            connection.execute(sa.update(table).where(where), values)
            self._set(connection, seq, bytes=file.bytes + n_bytes)

    def finish(self, owner: str, seq: int, error: IndexingError | None = None) -> None:
        """Record that a file is indexed, or why not. Raises NotFound."""
        changes = dict(_COMPLETE)
        with self._database.write_transaction() as connection:
            file = self._find_owned(connection, owner, seq)
            if error is not None:
                delete_chunks(connection, [seq])
                changes |= {"status": FAILED, "error": encode(error), "bytes": 0, "n_chunks": None}
            self._set(connection, seq, **changes)
            if error is None:
                revise(connection, file.store_id)

    def _complete(
        self,
        connection: sa.Connection,
        files: Sequence[StoreFile],
        changes: Sequence[dict[str, Any]],
        values: Mapping[int, Sequence[dict[str, Any]]],
    ) -> None:
        """Store files whose bytes are claimed. `values`: the rows of their chunks, by the number of the file."""
        self._replace_chunks(connection, files, [row for each in files for row in values[each.seq]])
        table = VECTOR_STORE_FILES
        update = sa.update(table).where(table.c.seq == sa.bindparam("of_seq")).values(**_COMPLETE)
        connection.execute(update, changes)
        for store_id in sorted({each.store_id for each in files}):
            revise(connection, store_id)

    def _claim_bytes(self, connection: sa.Connection, project: str, values: Sequence[dict[str, Any]]) -> int:
        """Return the bytes of chunks. Raises InvalidRequest if they exceed the project's storage limit."""
        sizes = (len(each["text"].encode()) + len(each["words"]) + len(each.get("vector", b"")) for each in values)
        n_bytes = sum(sizes)
        self._storage.claim_quickly(connection, project, n_bytes, None)
        return n_bytes

    def _replace_chunks(
        self, connection: sa.Connection, files: Sequence[StoreFile], values: Sequence[dict[str, Any]]
    ) -> None:
        """Insert the chunks of files in place of those that another owner stored."""
        replaced = [each.seq for each in files if each.n_chunks is not None]
        if replaced:
            delete_chunks(connection, replaced)
        for at in range(0, len(values), _ROWS_AT_ONCE):
            connection.execute(sa.insert(VECTOR_STORE_CHUNKS), values[at : at + _ROWS_AT_ONCE])

    def _find_owned(self, connection: sa.Connection, owner: str, seq: int) -> StoreFile:
        """Return a file that is still owned, locked. Raises NotFound."""
        return _require(self._find_all_owned(connection, owner, [seq]).get(seq))

    def _find_all_owned(self, connection: sa.Connection, owner: str, seqs: Sequence[int]) -> Mapping[int, StoreFile]:
        """Return those of these files that are still owned, by number, locked in the order of their numbers."""
        files = VECTOR_STORE_FILES
        where = sa.and_(files.c.seq.in_(seqs), files.c.owner == owner, files.c.status == IN_PROGRESS)
        query = sa.select(files).where(where).order_by(files.c.seq).with_for_update()
        return {row["seq"]: file_of(row) for row in connection.execute(query).mappings()}

    def _set(self, connection: sa.Connection, seq: int, **changes: Any) -> None:
        connection.execute(sa.update(VECTOR_STORE_FILES).where(VECTOR_STORE_FILES.c.seq == seq).values(**changes))


def _require(file: StoreFile | None) -> StoreFile:
    if file is None:
        raise NotFound("This file of a vector store was removed or cancelled, or another server indexes it.")
    return file


def _is_readable(row: sa.RowMapping) -> bool:
    try:
        file_of(row)
    except NotFound:
        return False
    return True


def _complete_rows(file: IndexedFile) -> Sequence[dict[str, Any]]:
    """Return the rows of a file's chunks, with their vectors."""
    return [{**_row(file.seq, each.number, each.text), "vector": each.vector} for each in file.chunks]


def _row(seq: int, number: int, text: str) -> dict[str, Any]:
    """Return the row of a chunk that has no vector yet."""
    return {"file_seq": seq, "number": number, "text": text, "words": word_counts.pack(text)}
