"""The queue of files that are to be indexed, and what is stored of each while it is. Synchronous.

A server changes a file only while it owns it, in one transaction, so a process that was suspended for long and resumes
changes nothing of a file that another one has taken over, or that was removed or cancelled.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa

from homeport.domain.errors import NotFound
from homeport.domain.vector_stores import (
    COMPLETED,
    FAILED,
    IN_PROGRESS,
    IndexingError,
    StoreFile,
    TextChunk,
    VectorStore,
)
from homeport.store import word_counts
from homeport.store.database import Database
from homeport.store.project_storage import SqlProjectStorage
from homeport.store.schema import VECTOR_STORE_CHUNKS, VECTOR_STORE_FILES
from homeport.store.vector_store_rows import delete_chunks, encode, file_of, find_store, revise

_ROWS_AT_ONCE = 500


class SqlIndexingQueue:
    """The queue of a database. `storage`: the limits of projects; `now`: the wall clock in seconds."""

    def __init__(
        self, database: Database, storage: SqlProjectStorage | None = None, now: Callable[[], float] = time.time
    ) -> None:
        self._database = database
        self._storage = storage or SqlProjectStorage(database)
        self._now = now
        self._damaged: set[int] = set()  # numbers of rows that cannot be read

    def claim(self, owner: str, lease_s: float) -> tuple[StoreFile, VectorStore] | None:
        """Take ownership of the oldest file that is neither indexed nor owned. Damaged rows are skipped."""
        files = VECTOR_STORE_FILES
        while True:
            is_free = sa.and_(files.c.status == IN_PROGRESS, files.c.owned_until <= self._now())
            query = sa.select(files).where(is_free, files.c.seq.not_in(self._damaged)).order_by(files.c.seq).limit(1)
            with self._database.read_transaction() as connection:
                row = connection.execute(query).mappings().first()
            if row is None:
                return None  # the usual case, which needs no write lock
            try:
                file_of(row)
                break
            except NotFound:
                self._damaged.add(row["seq"])
        with self._database.write_transaction() as connection:
            row = connection.execute(query.with_for_update(skip_locked=True)).mappings().first()
            if row is None:
                return None
            file = file_of(row)
            lease = {"owner": owner, "owned_until": self._now() + lease_s}
            connection.execute(sa.update(files).where(files.c.seq == file.seq).values(**lease))
            return file, find_store(connection, file.project, file.store_id)

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
        words = [word_counts.pack(text) for text in texts]
        values = [
            {"file_seq": seq, "number": number, "text": text, "words": packed}
            for number, (text, packed) in enumerate(zip(texts, words, strict=True))
        ]
        n_bytes = sum(len(text.encode()) + len(packed) for text, packed in zip(texts, words, strict=True))
        with self._database.write_transaction() as connection:
            file = self._find_owned(connection, owner, seq)
            self._storage.claim_quickly(connection, file.project, n_bytes, None)
            delete_chunks(connection, [seq])
            for at in range(0, len(values), _ROWS_AT_ONCE):
                connection.execute(sa.insert(VECTOR_STORE_CHUNKS), values[at : at + _ROWS_AT_ONCE])
            self._set(connection, seq, bytes=n_bytes, n_chunks=len(values), window=window)

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
        changes: dict[str, Any] = {"status": COMPLETED, "owner": "", "owned_until": 0.0}
        with self._database.write_transaction() as connection:
            file = self._find_owned(connection, owner, seq)
            if error is not None:
                delete_chunks(connection, [seq])
                changes |= {"status": FAILED, "error": encode(error), "bytes": 0, "n_chunks": None}
            self._set(connection, seq, **changes)
            if error is None:
                revise(connection, file.store_id)

    def _find_owned(self, connection: sa.Connection, owner: str, seq: int) -> StoreFile:
        files = VECTOR_STORE_FILES
        where = sa.and_(files.c.seq == seq, files.c.owner == owner, files.c.status == IN_PROGRESS)
        row = connection.execute(sa.select(files).where(where).with_for_update()).mappings().first()
        if row is None:
            raise NotFound("This file of a vector store was removed or cancelled, or another server indexes it.")
        return file_of(row)

    def _set(self, connection: sa.Connection, seq: int, **changes: Any) -> None:
        connection.execute(sa.update(VECTOR_STORE_FILES).where(VECTOR_STORE_FILES.c.seq == seq).values(**changes))
