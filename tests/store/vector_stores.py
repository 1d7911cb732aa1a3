"""What the tests of vector stores share: a store with files, and vectors that are easy to compare."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from homeport.domain.vector_stores import (
    AttributeValue,
    FoundChunk,
    NewStoreFile,
    NewVectorStore,
    SearchQuery,
    TextChunk,
)
from homeport.store.database import Database
from homeport.store.indexing_queue import SqlIndexingQueue
from homeport.store.vector_search import MAX_MATRIX_BYTES, SqlVectorSearch
from homeport.store.vector_store_files import SqlStoreFileRepository
from homeport.store.vector_stores import SqlVectorStoreRepository
from tests.fake_clock import FakeClock

PROJECT = "one"
LEASE_S = 5.0


def vector(*numbers: float) -> bytes:
    """Return a vector of length 1 in this direction."""
    made = np.array(numbers, "<f4")
    return bytes((made / np.linalg.norm(made)).astype("<f4").tobytes())


class VectorStores:
    """All that is stored of vector stores, in one database."""

    def __init__(self, database: Database, folder: Path, max_matrix_bytes: int = MAX_MATRIX_BYTES) -> None:
        self.database = database
        self.clock = FakeClock(1000.0)
        self.stores = SqlVectorStoreRepository(database, now=self.clock)
        self.files = SqlStoreFileRepository(database, now=self.clock)
        self.queue = SqlIndexingQueue(database, now=self.clock)
        self.searcher = SqlVectorSearch(database, folder / "index", max_matrix_bytes)

    def create(self, project: str = PROJECT, expires_days: int | None = None, files: Sequence[str] = ()) -> str:
        """Create a store with files; return its id."""
        new = NewVectorStore(project=project, name="Notes", model="e5", digest="d1", expires_days=expires_days)
        return self.stores.create(new, [new_file(each) for each in files]).id

    def index(self, texts: Mapping[str, bytes], error: None = None) -> int:
        """Index the next file, as these texts with their vectors; return its number."""
        (claimed,) = self.queue.claim("me", LEASE_S)
        seq = claimed[0].seq
        self.queue.add_chunks("me", seq, list(texts), None)
        vectors = list(texts.values())
        chunks = self.queue.chunks_without_vector(seq, 1000)
        done = [TextChunk(number=each.number, text=each.text, vector=vectors[each.number]) for each in chunks]
        self.queue.add_vectors("me", seq, done)
        self.queue.finish("me", seq)
        return seq

    def add(self, store_id: str, file_id: str, texts: Mapping[str, bytes], **attributes: AttributeValue) -> int:
        """Add a file to a store and index it; return its number."""
        self.files.add(PROJECT, store_id, new_file(file_id, **attributes), "")
        return self.index(texts)

    def search(self, store_id: str, query: SearchQuery, project: str = PROJECT) -> Sequence[FoundChunk]:
        """Search one store."""
        return self.searcher.search([self.stores.get(project, store_id)], query)


def new_file(file_id: str, **attributes: AttributeValue) -> NewStoreFile:
    """Make a file to add."""
    return NewStoreFile(file_id=file_id, filename=f"{file_id}.txt", attributes=attributes)
