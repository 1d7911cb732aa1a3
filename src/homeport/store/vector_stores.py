"""Vector stores: their rows, and those of batches of files. A project sees only its own stores. Synchronous."""

import secrets
import time
from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa

from homeport.domain.paging import Page, PageRequest
from homeport.domain.vector_stores import DAY_S, NewStoreFile, NewVectorStore, StoreChanges, VectorStore
from homeport.store.database import Database
from homeport.store.paging import fetch_page
from homeport.store.project_storage import SqlProjectStorage
from homeport.store.schema import VECTOR_STORE_FILES, VECTOR_STORES
from homeport.store.vector_store_rows import (
    delete_store,
    encode,
    find_store,
    insert_files,
    remove_files,
    stores_of,
)

_TOUCH_INTERVAL_S = 60
"""How exactly `last_active_at` is recorded: a search writes no row if it is newer."""


class SqlVectorStoreRepository:
    """The vector stores of a database. `storage`: the limits of projects; `now`: the wall clock in seconds."""

    def __init__(
        self, database: Database, storage: SqlProjectStorage | None = None, now: Callable[[], float] = time.time
    ) -> None:
        self._database = database
        self._storage = storage or SqlProjectStorage(database)
        self._now = now

    def create(self, new_store: NewVectorStore, files: Sequence[NewStoreFile] = (), key: str = "") -> VectorStore:
        """Create a store, with files that are to be indexed. Raises InvalidRequest over the project's limit."""
        now = int(self._now())
        store_id = f"vs_{secrets.token_hex(16)}"
        values: dict[str, Any] = {name: getattr(new_store, name) for name in new_store.__struct_fields__}
        values |= {"id": store_id, "metadata": encode(new_store.metadata), "created_at": now, "last_active_at": now}
        with self._database.write_transaction() as connection:
            self._storage.claim_quickly(connection, new_store.project, 1, None)
            connection.execute(sa.insert(VECTOR_STORES).values(**values, is_expired=False, revision=0))
            insert_files(connection, find_store(connection, new_store.project, store_id), files, key, now)
            return find_store(connection, new_store.project, store_id)

    def get(self, project: str, store_id: str) -> VectorStore:
        """Return one store. Raises NotFound."""
        with self._database.read_transaction() as connection:
            return find_store(connection, project, store_id)

    def list_page(self, project: str, page: PageRequest) -> Page[VectorStore]:
        """Return a page of a project's stores. Raises InvalidRequest for an unknown `after`."""
        with self._database.read_transaction() as connection:
            return fetch_page(
                connection,
                VECTOR_STORES,
                page,
                VECTOR_STORES.c.project == project,
                lambda records: stores_of(connection, list(records)),
            )

    def update(self, project: str, store_id: str, changes: StoreChanges) -> VectorStore:
        """Change fields of a store. Raises NotFound."""
        values: dict[str, Any] = {"last_active_at": int(self._now())}
        if isinstance(changes.name, str):
            values["name"] = changes.name
        if isinstance(changes.metadata, dict):
            values["metadata"] = encode(changes.metadata)
        if changes.expires_days is None or isinstance(changes.expires_days, int):
            values["expires_days"] = changes.expires_days
        with self._database.write_transaction() as connection:
            store = find_store(connection, project, store_id, locks=True)
            if store.is_expired:
                del values["last_active_at"]
            connection.execute(sa.update(VECTOR_STORES).where(VECTOR_STORES.c.id == store_id).values(**values))
            return find_store(connection, project, store_id)

    def delete(self, project: str, store_id: str) -> None:
        """Delete a store with all that was made of its files. Raises NotFound."""
        with self._database.write_transaction() as connection:
            find_store(connection, project, store_id, locks=True)
            delete_store(connection, store_id)
        self._database.erase_deleted()

    def touch(self, store_id: str) -> None:
        """Record that a store is used now."""
        now = int(self._now())
        is_old = sa.and_(VECTOR_STORES.c.id == store_id, VECTOR_STORES.c.last_active_at <= now - _TOUCH_INTERVAL_S)
        with self._database.read_transaction() as connection:
            if connection.execute(sa.select(VECTOR_STORES.c.seq).where(is_old)).first() is None:
                return
        with self._database.write_transaction() as connection:
            connection.execute(sa.update(VECTOR_STORES).where(is_old).values(last_active_at=now))

    def sweep(self) -> int:
        """Empty the stores that have expired; return their number."""
        stores = VECTOR_STORES
        is_over = sa.and_(
            stores.c.expires_days.is_not(None),
            ~stores.c.is_expired,
            stores.c.last_active_at + stores.c.expires_days * DAY_S <= int(self._now()),
        )
        with self._database.read_transaction() as connection:
            expired = connection.execute(sa.select(stores.c.id).where(is_over)).scalars().all()
        for store_id in expired:
            with self._database.write_transaction() as connection:
                where = sa.and_(stores.c.id == store_id, is_over)
                if connection.execute(sa.update(stores).where(where).values(is_expired=True)).rowcount:
                    remove_files(connection, VECTOR_STORE_FILES.c.store_id == store_id)
        if expired:
            self._database.erase_deleted()
        return len(expired)
