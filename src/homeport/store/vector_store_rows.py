"""Vector stores as rows: how they are read, counted, changed and deleted within a transaction. Synchronous."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from homeport.domain.errors import InvalidRequest, NotFound, excerpt
from homeport.domain.vector_stores import (
    CANCELLED,
    IN_PROGRESS,
    Chunking,
    FileCounts,
    IndexingError,
    NewStoreFile,
    StoreFile,
    VectorStore,
)
from homeport.store import rows
from homeport.store.schema import VECTOR_STORE_BATCHES, VECTOR_STORE_CHUNKS, VECTOR_STORE_FILES, VECTOR_STORES

MAX_FILES = 10_000
"""The maximum number of files of a store."""
_FILE_READERS: rows.Readers = {
    "attributes": lambda text: msgspec.json.decode(text),
    "chunking": lambda text: msgspec.json.decode(text, type=Chunking),
    "error": lambda text: None if text is None else msgspec.json.decode(text, type=IndexingError),
}
_IDS_AT_ONCE = 500

_log = logging.getLogger("homeport.store")


def find_store(connection: sa.Connection, project: str, store_id: str, *, locks: bool = False) -> VectorStore:
    """Return a store. `locks`: no other transaction changes it until this one ends. Raises NotFound."""
    query = sa.select(VECTOR_STORES).where(VECTOR_STORES.c.id == store_id, VECTOR_STORES.c.project == project)
    row = connection.execute(query.with_for_update() if locks else query).mappings().first()
    found = [] if row is None else stores_of(connection, [row])
    if not found:
        raise missing_store(store_id)
    return found[0]


def find_uncounted_store(connection: sa.Connection, project: str, store_id: str) -> VectorStore:
    """Return a store without the numbers and size of its files, which take as long as it has files. Raises NotFound."""
    query = sa.select(VECTOR_STORES).where(VECTOR_STORES.c.id == store_id, VECTOR_STORES.c.project == project)
    row = connection.execute(query).mappings().first()
    found = [] if row is None else _readable([row], {}, {})
    if not found:
        raise missing_store(store_id)
    return found[0]


def find_active_store(connection: sa.Connection, project: str, store_id: str) -> VectorStore:
    """Return a store to add to, locked. Raises NotFound, and InvalidRequest if it has expired."""
    store = find_store(connection, project, store_id, locks=True)
    if store.is_expired:
        raise InvalidRequest(f"The vector store {store.id} has expired.", code="vector_store_expired")
    return store


def stores_of(connection: sa.Connection, records: Sequence[sa.RowMapping]) -> list[VectorStore]:
    """Return the stores of rows, with the numbers of their files. Damaged rows are logged and left out."""
    files = VECTOR_STORE_FILES
    query = sa.select(files.c.store_id, files.c.status, sa.func.count(), sa.func.sum(files.c.bytes))
    query = query.where(files.c.store_id.in_([row["id"] for row in records])).group_by(files.c.store_id, files.c.status)
    counts: dict[str, dict[str, int]] = {}
    sizes: dict[str, int] = {}
    for store_id, status, n, n_bytes in connection.execute(query):
        counts.setdefault(store_id, {})[status] = int(n)
        sizes[store_id] = sizes.get(store_id, 0) + int(n_bytes)
    return _readable(records, counts, sizes)


def _readable(
    records: Sequence[sa.RowMapping], counts: Mapping[str, Mapping[str, int]], sizes: Mapping[str, int]
) -> list[VectorStore]:
    found = []
    for row in records:
        try:
            found.append(_to_store(row, FileCounts(**counts.get(row["id"], {})), sizes.get(row["id"], 0)))
        except (msgspec.MsgspecError, TypeError, ValueError) as error:
            _log.error("%s", rows.damaged(row["id"], error))
    return found


def _to_store(row: sa.RowMapping, counts: FileCounts, n_bytes: int) -> VectorStore:
    values = {name: row[name] for name in VectorStore.__struct_fields__ if name not in ("bytes", "counts")}
    values["metadata"] = msgspec.json.decode(values["metadata"])
    return msgspec.convert({**values, "bytes": n_bytes, "counts": counts}, VectorStore)


def file_of(row: sa.RowMapping) -> StoreFile:
    """Return the file of a row. Raises NotFound for a damaged row."""
    return rows.value(row, StoreFile, readers=_FILE_READERS)


def find_file(connection: sa.Connection, project: str, store_id: str, file_id: str) -> StoreFile:
    """Return a file of a store. Raises NotFound."""
    find_store(connection, project, store_id)
    files = VECTOR_STORE_FILES
    query = sa.select(files).where(files.c.store_id == store_id, files.c.id == file_id)
    row = connection.execute(query).mappings().first()
    if row is None:
        raise NotFound(
            f"No file found with id '{excerpt(file_id, 100)}' in vector store '{excerpt(store_id, 100)}'.",
            param="file_id",
            code="file_not_found",
        )
    return file_of(row)


def insert_files(
    connection: sa.Connection,
    store: VectorStore,
    new_files: Sequence[NewStoreFile],
    key: str,
    now: float,
    batch_id: str | None = None,
) -> None:
    """Add files to a store; those that it has are indexed again. Raises InvalidRequest for more than `MAX_FILES`."""
    remove_files(connection, VECTOR_STORE_FILES.c.store_id == store.id, [each.file_id for each in new_files])
    in_store = sa.select(sa.func.count()).where(VECTOR_STORE_FILES.c.store_id == store.id)
    if connection.execute(in_store).scalar_one() + len(new_files) > MAX_FILES:
        raise InvalidRequest(f"A vector store may have at most {MAX_FILES} files.", code="vector_store_full")
    values = [
        {
            "id": each.file_id,
            "store_id": store.id,
            "batch_id": batch_id,
            "project": store.project,
            "key": key,
            "filename": each.filename,
            "status": IN_PROGRESS,
            "created_at": int(now),
            "attributes": encode(each.attributes),
            "chunking": encode(each.chunking),
            "bytes": 0,
            "owner": "",
            "owned_until": 0.0,
        }
        for each in new_files
    ]
    if values:
        connection.execute(sa.insert(VECTOR_STORE_FILES), values)


def remove_files(
    connection: sa.Connection, of_stores: sa.ColumnElement[bool], file_ids: Sequence[str] | None = None
) -> None:
    """Delete files of stores with their chunks: those with these ids; None: all. What can be found changes."""
    files = VECTOR_STORE_FILES
    wheres = [of_stores]
    if file_ids is not None:
        parts = [file_ids[at : at + _IDS_AT_ONCE] for at in range(0, len(file_ids), _IDS_AT_ONCE)]
        wheres = [sa.and_(of_stores, files.c.id.in_(part)) for part in parts]
    for where in wheres:
        found = connection.execute(sa.select(files.c.seq, files.c.store_id).where(where)).all()
        for at in range(0, len(found), _IDS_AT_ONCE):
            seqs = [seq for seq, _ in found[at : at + _IDS_AT_ONCE]]
            delete_chunks(connection, seqs)
            connection.execute(sa.delete(files).where(files.c.seq.in_(seqs)))
        for store_id in {store_id for _, store_id in found}:
            revise(connection, store_id)


def delete_chunks(connection: sa.Connection, seqs: Sequence[int]) -> None:
    """Delete the chunks of files."""
    connection.execute(sa.delete(VECTOR_STORE_CHUNKS).where(VECTOR_STORE_CHUNKS.c.file_seq.in_(seqs)))


def revise(connection: sa.Connection, store_id: str) -> None:
    """Record that what can be found in a store changes."""
    stores = VECTOR_STORES
    changed = {"revision": stores.c.revision + 1}
    connection.execute(sa.update(stores).where(stores.c.id == store_id).values(**changed))


def delete_store(connection: sa.Connection, store_id: str) -> None:
    """Delete a store with all that belongs to it."""
    remove_files(connection, VECTOR_STORE_FILES.c.store_id == store_id)
    connection.execute(sa.delete(VECTOR_STORE_BATCHES).where(VECTOR_STORE_BATCHES.c.store_id == store_id))
    connection.execute(sa.delete(VECTOR_STORES).where(VECTOR_STORES.c.id == store_id))


def cancel_files(connection: sa.Connection, where: sa.ColumnElement[bool]) -> None:
    """Cancel files that are not indexed yet, and delete what was made of them."""
    files = VECTOR_STORE_FILES
    query = sa.select(files.c.seq).where(where, files.c.status == IN_PROGRESS).order_by(files.c.seq).with_for_update()
    seqs = connection.execute(query).scalars().all()
    delete_chunks(connection, seqs)
    ended = {"status": CANCELLED, "owner": "", "bytes": 0}
    connection.execute(sa.update(files).where(files.c.seq.in_(seqs)).values(**ended))


def encode(value: Any) -> str:
    """Return the JSON of a column."""
    return msgspec.json.encode(value).decode()


def missing_store(store_id: str) -> NotFound:
    """Make the error for a store that does not exist."""
    return NotFound(
        f"Vector store with id '{excerpt(store_id, 100)}' not found.", param="vector_store_id", code="not_found"
    )
