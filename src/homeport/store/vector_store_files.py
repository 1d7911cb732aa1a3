"""The files of vector stores, as callers see them, and batches of them. Synchronous."""

import secrets
import time
from collections.abc import Callable, Sequence

import sqlalchemy as sa

from homeport.domain.errors import NotFound, excerpt
from homeport.domain.paging import Page, PageRequest
from homeport.domain.vector_stores import Attributes, FileBatch, FileCounts, NewStoreFile, StoreFile
from homeport.store.database import Database
from homeport.store.paging import fetch_page
from homeport.store.project_storage import SqlProjectStorage
from homeport.store.schema import VECTOR_STORE_BATCHES, VECTOR_STORE_CHUNKS, VECTOR_STORE_FILES
from homeport.store.vector_store_rows import (
    cancel_files,
    encode,
    file_of,
    find_active_store,
    find_file,
    find_store,
    insert_files,
    remove_files,
)


class SqlStoreFileRepository:
    """The files of a database's vector stores. `storage`: the limits of projects; `now`: the wall clock in seconds."""

    def __init__(
        self, database: Database, storage: SqlProjectStorage | None = None, now: Callable[[], float] = time.time
    ) -> None:
        self._database = database
        self._storage = storage or SqlProjectStorage(database)
        self._now = now

    def add(self, project: str, store_id: str, file: NewStoreFile, key: str) -> StoreFile:
        """Add a file, or index it again if the store has it. Raises NotFound, InvalidRequest."""
        with self._database.write_transaction() as connection:
            store = find_active_store(connection, project, store_id)
            self._storage.claim_quickly(connection, project, 1, None)
            insert_files(connection, store, [file], key, self._now())
            return find_file(connection, project, store_id, file.file_id)

    def get(self, project: str, store_id: str, file_id: str) -> StoreFile:
        """Return one file. Raises NotFound."""
        with self._database.read_transaction() as connection:
            return find_file(connection, project, store_id, file_id)

    def list_page(
        self,
        project: str,
        store_id: str,
        page: PageRequest,
        *,
        status: str | None = None,
        batch_id: str | None = None,
    ) -> Page[StoreFile]:
        """Return a page of files: of one status, of one batch. Raises NotFound, InvalidRequest."""
        files = VECTOR_STORE_FILES
        filters = [] if status is None else [files.c.status == status]
        filters += [] if batch_id is None else [files.c.batch_id == batch_id]
        with self._database.read_transaction() as connection:
            find_store(connection, project, store_id)
            return fetch_page(
                connection, files, page, files.c.store_id == store_id, lambda records: map(file_of, records), *filters
            )

    def update(self, project: str, store_id: str, file_id: str, attributes: Attributes) -> StoreFile:
        """Replace the attributes of a file. Raises NotFound."""
        files = VECTOR_STORE_FILES
        with self._database.write_transaction() as connection:
            file = find_file(connection, project, store_id, file_id)
            changes = {"attributes": encode(attributes)}
            connection.execute(sa.update(files).where(files.c.seq == file.seq).values(**changes))
            return find_file(connection, project, store_id, file_id)

    def delete(self, project: str, store_id: str, file_id: str) -> None:
        """Remove a file from a store. Raises NotFound."""
        with self._database.write_transaction() as connection:
            find_file(connection, project, store_id, file_id)
            remove_files(connection, VECTOR_STORE_FILES.c.store_id == store_id, [file_id])
        self._database.erase_deleted()

    def texts(self, project: str, store_id: str, file_id: str) -> Sequence[str]:
        """Return the texts of a file's chunks, in order. Raises NotFound."""
        chunks = VECTOR_STORE_CHUNKS
        with self._database.read_transaction() as connection:
            file = find_file(connection, project, store_id, file_id)
            query = sa.select(chunks.c.text).where(chunks.c.file_seq == file.seq).order_by(chunks.c.number)
            return connection.execute(query).scalars().all()

    def add_batch(self, project: str, store_id: str, files: Sequence[NewStoreFile], key: str) -> FileBatch:
        """Add files together. Raises NotFound, InvalidRequest."""
        batch_id = f"vsfb_{secrets.token_hex(16)}"
        now = int(self._now())
        with self._database.write_transaction() as connection:
            store = find_active_store(connection, project, store_id)
            self._storage.claim_quickly(connection, project, 1, None)
            values = {"id": batch_id, "store_id": store_id, "created_at": now, "is_cancelled": False}
            connection.execute(sa.insert(VECTOR_STORE_BATCHES).values(**values))
            insert_files(connection, store, files, key, now, batch_id)
            return _find_batch(connection, project, store_id, batch_id)

    def get_batch(self, project: str, store_id: str, batch_id: str) -> FileBatch:
        """Return a batch of files. Raises NotFound."""
        with self._database.read_transaction() as connection:
            return _find_batch(connection, project, store_id, batch_id)

    def cancel_batch(self, project: str, store_id: str, batch_id: str) -> FileBatch:
        """Cancel the files of a batch that are not indexed yet. Raises NotFound."""
        with self._database.write_transaction() as connection:
            if _find_batch(connection, project, store_id, batch_id).counts.in_progress:
                where = VECTOR_STORE_BATCHES.c.id == batch_id
                connection.execute(sa.update(VECTOR_STORE_BATCHES).where(where).values(is_cancelled=True))
                cancel_files(connection, VECTOR_STORE_FILES.c.batch_id == batch_id)
            return _find_batch(connection, project, store_id, batch_id)


def _find_batch(connection: sa.Connection, project: str, store_id: str, batch_id: str) -> FileBatch:
    find_store(connection, project, store_id)
    batches, files = VECTOR_STORE_BATCHES, VECTOR_STORE_FILES
    query = sa.select(batches).where(batches.c.id == batch_id, batches.c.store_id == store_id)
    row = connection.execute(query).mappings().first()
    if row is None:
        raise NotFound(
            f"No file batch found with id '{excerpt(batch_id, 100)}' in vector store '{excerpt(store_id, 100)}'.",
            param="batch_id",
            code="not_found",
        )
    counted = sa.select(files.c.status, sa.func.count()).where(files.c.batch_id == batch_id).group_by(files.c.status)
    counts = FileCounts(**{status: int(n) for status, n in connection.execute(counted)})
    return FileBatch(
        id=row["id"],
        store_id=row["store_id"],
        created_at=row["created_at"],
        is_cancelled=bool(row["is_cancelled"]),
        counts=counts,
    )
