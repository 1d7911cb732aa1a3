"""Searches vector stores: keeps their indexes in memory, as the database's revisions say, and reads what is found.

The vectors and words of a store are read from its rows at the first search in this process, and after that only those
of files that were added. Synchronous.
"""

import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import sqlalchemy as sa

from homeport.domain.vector_stores import COMPLETED, Attributes, FoundChunk, SearchQuery, VectorStore
from homeport.store.database import Database
from homeport.store.schema import VECTOR_STORE_CHUNKS, VECTOR_STORE_FILES

if TYPE_CHECKING:
    from homeport.store.search_index import Found, SearchIndex
    from homeport.store.search_segments import ChunkRow, Segment

MAX_INDEXES = 32
"""The maximum number of stores whose indexes are in memory; that of the store which was searched least lately goes."""
_FILES_AT_ONCE = 200
_Files = Mapping[int, tuple[str, str, str]]
"""By number: the id, the name and the JSON of the attributes of each file."""


class SqlVectorSearch:
    """The search of a database's stores. `folder`: for the memory-mapped files, which have no names there."""

    def __init__(self, database: Database, folder: Path) -> None:
        self._database = database
        self._folder = folder
        self._indexes: OrderedDict[str, SearchIndex] = OrderedDict()
        self._guard = threading.Lock()
        self._locks: dict[str, threading.Lock] = {}

    def search(self, stores: Sequence[VectorStore], query: SearchQuery) -> Sequence[FoundChunk]:
        """Return the best chunks of these stores, best first."""
        # Imported when something is searched: a server that never does needs no numpy in its memory.
        from homeport.store import search_index

        files: dict[int, tuple[str, str, str]] = {}
        segments: list[Segment] = []
        is_some_removed = False
        for store in stores:
            found = self._files(store.id)
            files |= found
            index = self._index(store, found)
            segments += index.segments
            is_some_removed = is_some_removed or index.has_removed
        wanted = set(files) if is_some_removed else None
        if query.filter is not None:
            wanted = {seq for seq, (_, _, text) in files.items() if query.filter.matches(_attributes(text))}
        return self._matches(search_index.search(segments, query, wanted), files)

    def _index(self, store: VectorStore, files: _Files) -> "SearchIndex":
        """Return the index of a store, with exactly these files."""
        from homeport.store.search_index import SearchIndex

        with self._guard:
            lock = self._locks.setdefault(store.id, threading.Lock())
        with lock:
            with self._guard:
                index = self._indexes.pop(store.id, None)
            if index is None:
                self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                index = SearchIndex(self._folder)
            if index.revision != store.revision:
                index.update(store.revision, files, self._load)
            with self._guard:
                self._indexes[store.id] = index
                while len(self._indexes) > MAX_INDEXES:
                    self._locks.pop(self._indexes.popitem(last=False)[0], None)
            return index

    def _files(self, store_id: str) -> _Files:
        files = VECTOR_STORE_FILES
        query = sa.select(files.c.seq, files.c.id, files.c.filename, files.c.attributes)
        query = query.where(files.c.store_id == store_id, files.c.status == COMPLETED)
        with self._database.read_transaction() as connection:
            rows = connection.execute(query).all()
        return {seq: (file_id, name, attributes) for seq, file_id, name, attributes in rows}

    def _load(self, file_seqs: Sequence[int]) -> "Iterator[ChunkRow]":
        from homeport.store.search_segments import ChunkRow

        chunks = VECTOR_STORE_CHUNKS
        columns = (chunks.c.file_seq, chunks.c.number, chunks.c.vector, chunks.c.words)
        for at in range(0, len(file_seqs), _FILES_AT_ONCE):
            where = sa.and_(chunks.c.file_seq.in_(file_seqs[at : at + _FILES_AT_ONCE]), chunks.c.vector.is_not(None))
            query = sa.select(*columns).where(where).order_by(chunks.c.file_seq, chunks.c.number)
            with self._database.read_transaction() as connection:
                for seq, number, vector, words in connection.execute(query):
                    yield ChunkRow(seq, number, bytes(vector), bytes(words))

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
                file_id=files[each.file_seq][0],
                filename=files[each.file_seq][1],
                attributes=_attributes(files[each.file_seq][2]),
                number=each.number,
                text=texts[each.file_seq, each.number],
                score=each.score,
            )
            for each in found
            if each.file_seq in files and (each.file_seq, each.number) in texts
        ]


def _attributes(text: str) -> Attributes:
    return msgspec.json.decode(text, type=Attributes)
