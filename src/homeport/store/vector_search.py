"""Searches vector stores: keeps their indexes in memory, as the database's revisions say, and reads what is found.

The vectors and words of a store are read from its rows at the first search in this process, and after that only those
of files that were added. The vectors of a large store stay in the database if that is PostgreSQL with pgvector.
Synchronous.
"""

import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import sqlalchemy as sa

from homeport.domain.vector_stores import COMPLETED, Attributes, FoundChunk, SearchQuery, VectorStore
from homeport.store.database import Database
from homeport.store.pgvector import PgvectorTable
from homeport.store.schema import VECTOR_STORE_CHUNKS, VECTOR_STORE_FILES, VECTOR_STORES

if TYPE_CHECKING:
    from homeport.store.search_index import Found, SearchIndex
    from homeport.store.search_segments import ChunkRow, Segment

MAX_INDEXES = 32
"""The maximum number of stores whose indexes are in memory; that of the store which was searched least lately goes."""
MAX_MATRIX_BYTES = 512 * 2**20
"""The maximum size of a store's vectors in memory where pgvector can search them: 350,000 of 384 dimensions."""
_FILES_AT_ONCE = 200


class _File(NamedTuple):
    """A file of a store. `attributes`: as JSON."""

    id: str
    filename: str
    attributes: str
    n_chunks: int


_Files = Mapping[int, _File]
"""By number."""


class SqlVectorSearch:
    """The search of a database's stores. `folder`: for the memory-mapped files, which have no names there."""

    def __init__(self, database: Database, folder: Path, max_matrix_bytes: int = MAX_MATRIX_BYTES) -> None:
        self._database = database
        self._table = PgvectorTable(database)
        self._folder = folder
        self._max_matrix_bytes = max_matrix_bytes
        self._indexes: OrderedDict[str, SearchIndex] = OrderedDict()
        self._guard = threading.Lock()
        self._locks: dict[str, threading.Lock] = {}

    def search(self, stores: Sequence[VectorStore], query: SearchQuery) -> Sequence[FoundChunk]:
        """Return the best chunks of these stores, best first."""
        # Imported when something is searched: a server that never does needs no numpy in its memory.
        from homeport.store import search_index

        files: dict[int, _File] = {}
        segments: list[Segment] = []
        in_table: list[int] = []
        is_some_removed = False
        vector_bytes = len(query.vectors[0]) if query.vectors else 0
        for store in stores:
            seq, found = self._read_store(store)
            files |= found
            n_bytes = vector_bytes * sum(file.n_chunks for file in found.values())
            has_vectors = n_bytes <= self._max_matrix_bytes or not self._table.exists()
            index = self._index(store, seq, found, has_vectors=has_vectors)
            segments += index.segments
            in_table += [] if has_vectors else [seq]
            is_some_removed = is_some_removed or index.has_removed
        wanted = set(files) if is_some_removed else None
        if query.filter is not None:
            wanted = {seq for seq, file in files.items() if query.filter.matches(_attributes(file.attributes))}
        # The table lacks removed files, so it need not leave them out.
        in_files = None if query.filter is None else wanted
        nearest = partial(self._table.nearest, in_table, in_files) if in_table else None
        return self._matches(search_index.search(segments, query, wanted, nearest), files)

    def _index(self, store: VectorStore, store_seq: int, files: _Files, *, has_vectors: bool) -> "SearchIndex":
        """Return the index of a store, with exactly these files."""
        from homeport.store.search_index import SearchIndex

        with self._guard:
            lock = self._locks.setdefault(store.id, threading.Lock())
        with lock:
            with self._guard:
                index = self._indexes.pop(store.id, None)
            if index is None or index.has_vectors != has_vectors:
                self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                index = SearchIndex(self._folder, has_vectors=has_vectors)
            if index.revision != store.revision:
                if not has_vectors:
                    self._table.add_missing(store_seq, files)
                index.update(store.revision, files, partial(self._load, has_vectors=has_vectors))
            with self._guard:
                self._indexes[store.id] = index
                while len(self._indexes) > MAX_INDEXES:
                    self._locks.pop(self._indexes.popitem(last=False)[0], None)
            return index

    def _read_store(self, store: VectorStore) -> tuple[int, _Files]:
        """Return the number of a store, and its indexed files."""
        stores, files = VECTOR_STORES, VECTOR_STORE_FILES
        query = sa.select(files.c.seq, files.c.id, files.c.filename, files.c.attributes, files.c.n_chunks)
        query = query.where(files.c.store_id == store.id, files.c.status == COMPLETED)
        with self._database.read_transaction() as connection:
            seq = connection.execute(sa.select(stores.c.seq).where(stores.c.id == store.id)).scalar()
            rows = connection.execute(query).all()
        return seq or 0, {row.seq: _File(row.id, row.filename, row.attributes, row.n_chunks or 0) for row in rows}

    def _load(self, file_seqs: Sequence[int], *, has_vectors: bool) -> "Iterator[ChunkRow]":
        from homeport.store.search_segments import ChunkRow

        chunks = VECTOR_STORE_CHUNKS
        columns: list[sa.ColumnElement[Any]] = [
            chunks.c.file_seq,
            chunks.c.number,
            chunks.c.words,
            sa.func.length(chunks.c.vector),
        ]
        columns += [chunks.c.vector] if has_vectors else []
        for at in range(0, len(file_seqs), _FILES_AT_ONCE):
            where = sa.and_(chunks.c.file_seq.in_(file_seqs[at : at + _FILES_AT_ONCE]), chunks.c.vector.is_not(None))
            query = sa.select(*columns).where(where).order_by(chunks.c.file_seq, chunks.c.number)
            with self._database.read_transaction() as connection:
                for row in connection.execute(query):
                    yield ChunkRow(*row)

    def _matches(self, found: "Sequence[Found]", files: _Files) -> Sequence[FoundChunk]:
        """Read the texts of chunks. Those that were removed meanwhile are left out."""
        chunks = VECTOR_STORE_CHUNKS
        keys = [(each.file_seq, each.number) for each in found]
        is_found = sa.tuple_(chunks.c.file_seq, chunks.c.number).in_(keys)
        with self._database.read_transaction() as connection:
            rows = connection.execute(sa.select(chunks.c.file_seq, chunks.c.number, chunks.c.text).where(is_found))
            texts = {(seq, number): text for seq, number, text in rows}
        return [
            FoundChunk(
                file_id=files[each.file_seq].id,
                filename=files[each.file_seq].filename,
                attributes=_attributes(files[each.file_seq].attributes),
                number=each.number,
                text=texts[each.file_seq, each.number],
                score=each.score,
            )
            for each in found
            if each.file_seq in files and (each.file_seq, each.number) in texts
        ]


def _attributes(text: str) -> Attributes:
    return msgspec.json.decode(text, type=Attributes)
