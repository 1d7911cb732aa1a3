"""What rooms need of the storage of vector stores, of their search, and of what reads documents.

Repositories are synchronous: the event loop calls them through a thread. A project sees only its own stores, and gets
the same NotFound for another project's as for none.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from homeport.domain.errors import HomeportError
from homeport.domain.paging import Page, PageRequest
from homeport.domain.vector_stores import (
    Attributes,
    FileBatch,
    FoundChunk,
    IndexedFile,
    IndexingError,
    NewStoreFile,
    NewVectorStore,
    SearchQuery,
    StoreChanges,
    StoreFile,
    TextChunk,
    VectorStore,
)


class VectorStoreRepository(Protocol):
    """Vector stores, as callers see them. Every method with a store's id raises NotFound if it does not exist."""

    def create(self, new_store: NewVectorStore, files: Sequence[NewStoreFile] = (), key: str = "") -> VectorStore:
        """Create a store, with files that are to be indexed. Raises InvalidRequest over the project's limit."""
        ...

    def get(self, project: str, store_id: str) -> VectorStore:
        """Return one store."""
        ...

    def list_page(self, project: str, page: PageRequest) -> Page[VectorStore]:
        """Return a page of a project's stores. Raises InvalidRequest for an unknown `after`."""
        ...

    def update(self, project: str, store_id: str, changes: StoreChanges) -> VectorStore:
        """Change fields of a store."""
        ...

    def delete(self, project: str, store_id: str) -> None:
        """Delete a store with all that was made of its files; the files themselves stay."""
        ...

    def touch(self, store_id: str) -> None:
        """Record that a store is used now."""
        ...

    def sweep(self) -> int:
        """Empty the stores that have expired; return their number."""
        ...


class StoreFileRepository(Protocol):
    """The files of vector stores, as callers see them. All methods raise NotFound for a store that does not exist."""

    def add(self, project: str, store_id: str, file: NewStoreFile, key: str) -> StoreFile:
        """Add a file, or index it again if the store has it. Raises InvalidRequest if the store has expired."""
        ...

    def get(self, project: str, store_id: str, file_id: str) -> StoreFile:
        """Return one file. Raises NotFound."""
        ...

    def list_page(
        self,
        project: str,
        store_id: str,
        page: PageRequest,
        *,
        status: str | None = None,
        batch_id: str | None = None,
    ) -> Page[StoreFile]:
        """Return a page of files: of one status, of one batch. Raises InvalidRequest for an unknown `after`."""
        ...

    def update(self, project: str, store_id: str, file_id: str, attributes: Attributes) -> StoreFile:
        """Replace the attributes of a file. Raises NotFound."""
        ...

    def delete(self, project: str, store_id: str, file_id: str) -> None:
        """Remove a file from a store; the file itself stays. Raises NotFound."""
        ...

    def texts(self, project: str, store_id: str, file_id: str) -> Sequence[str]:
        """Return the texts of a file's chunks, in order. Raises NotFound."""
        ...

    def add_batch(self, project: str, store_id: str, files: Sequence[NewStoreFile], key: str) -> FileBatch:
        """Add files together. Raises InvalidRequest if the store has expired."""
        ...

    def get_batch(self, project: str, store_id: str, batch_id: str) -> FileBatch:
        """Return a batch of files. Raises NotFound."""
        ...

    def cancel_batch(self, project: str, store_id: str, batch_id: str) -> FileBatch:
        """Cancel the files of a batch that are not indexed yet. Raises NotFound."""
        ...


class IndexingQueue(Protocol):
    """The files that are to be indexed. The server that indexes a file owns it until its lease expires.

    Writing to a file that it lost, or that was removed or cancelled, raises NotFound.
    """

    def claim(self, owner: str, lease_s: float, limit: int = 1) -> Sequence[tuple[StoreFile, VectorStore]]:
        """Take ownership of the oldest files that are neither indexed nor owned, at most `limit`.

        The stores are without the numbers and sizes of their files.
        """
        ...

    def renew(self, owner: str, lease_s: float) -> Sequence[int]:
        """Extend the ownership of all that `owner` owns; return their numbers."""
        ...

    def release(self, owner: str, seq: int) -> None:
        """Give up the ownership of a file."""
        ...

    def add_chunks(self, owner: str, seq: int, texts: Sequence[str], window: int | None) -> None:
        """Store the texts of a file, cut into chunks, and `StoreFile.window`.

        Raises InvalidRequest over the project's storage limit.
        """
        ...

    def add_complete(self, owner: str, files: Sequence[IndexedFile]) -> Sequence[HomeportError | None]:
        """Store all chunks of files with their vectors, and record that these are indexed, in one transaction.

        Returns for each file why it is not stored: NotFound, or InvalidRequest over the project's storage limit.
        """
        ...

    def chunks_without_vector(self, seq: int, limit: int, after: int = -1) -> Sequence[TextChunk]:
        """Return the next chunks that have no vector yet, with numbers above `after`."""
        ...

    def add_vectors(self, owner: str, seq: int, chunks: Sequence[TextChunk]) -> None:
        """Store the vectors of chunks."""
        ...

    def finish(self, owner: str, seq: int, error: IndexingError | None = None) -> None:
        """Record that a file is indexed, or why not. What was stored of one that failed is deleted."""
        ...


class VectorSearch(Protocol):
    """Searches stores. Synchronous, and busy with computing."""

    def search(self, stores: Sequence[VectorStore], query: SearchQuery) -> Sequence[FoundChunk]:
        """Return the best chunks of these stores, best first. Raises Unavailable if the vectors are damaged."""
        ...


class TextExtractor(Protocol):
    """Reads the text of documents, in a process of its own with limits."""

    async def extract(self, path: Path, filename: str) -> str:
        """Return the text of a document, whose type its name and its first bytes tell.

        Raises InvalidRequest whose code is one of `IndexingError`, and Unavailable if no process can be started.
        """
        ...
