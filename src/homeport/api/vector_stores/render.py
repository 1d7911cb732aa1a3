"""The JSON of vector stores, their files, batches of files, and what searches find. Knows nothing of requests."""

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from homeport.domain.vector_stores import (
    Attributes,
    FileBatch,
    FileCounts,
    FoundChunk,
    IndexingError,
    StoreFile,
    VectorStore,
)


class FileCountsObject(msgspec.Struct, kw_only=True):
    """The number of files by status."""

    in_progress: int
    completed: int
    failed: int
    cancelled: int
    total: int


class ExpiresAfterObject(msgspec.Struct, kw_only=True):
    """When a store expires."""

    anchor: str = "last_active_at"
    days: int


class VectorStoreObject(msgspec.Struct, kw_only=True):
    """A store. `embedding_model`, an extension: the model that makes its vectors."""

    id: str
    object: str = "vector_store"
    created_at: int
    name: str
    description: str | None
    usage_bytes: int
    file_counts: FileCountsObject
    status: str
    expires_after: ExpiresAfterObject | None
    expires_at: int | None
    last_active_at: int
    metadata: dict[str, str]
    embedding_model: str


class StoreFileObject(msgspec.Struct, kw_only=True):
    """A file of a store.

    `chunk_limit_tokens`, an extension: the window of the embeddings model, where it makes the chunks smaller than
    `chunking_strategy` asks for.
    """

    id: str
    object: str = "vector_store.file"
    usage_bytes: int
    created_at: int
    vector_store_id: str
    status: str
    last_error: IndexingError | None
    chunking_strategy: dict[str, Any]
    attributes: Attributes
    chunk_limit_tokens: int | UnsetType = UNSET


class FileBatchObject(msgspec.Struct, kw_only=True):
    """Files that were added together."""

    id: str
    object: str = "vector_store.files_batch"
    created_at: int
    vector_store_id: str
    status: str
    file_counts: FileCountsObject


class TextContent(msgspec.Struct, kw_only=True):
    """A piece of text."""

    type: str = "text"
    text: str


class SearchResultObject(msgspec.Struct, kw_only=True):
    """A chunk that was found."""

    file_id: str
    filename: str
    score: float
    attributes: Attributes
    content: list[TextContent]


class ResultPage(msgspec.Struct, kw_only=True):
    """A list that has one page: of what a search found, or of the chunks of a file."""

    object: str
    search_query: Sequence[str] | UnsetType = UNSET
    data: Sequence[Any]
    has_more: bool = False
    next_page: str | None = None


def render_store(store: VectorStore) -> VectorStoreObject:
    """Render a store."""
    status = "in_progress" if store.counts.in_progress else "completed"
    return VectorStoreObject(
        id=store.id,
        created_at=store.created_at,
        name=store.name,
        description=store.description,
        usage_bytes=store.bytes,
        file_counts=_render_counts(store.counts),
        status="expired" if store.is_expired else status,
        expires_after=None if store.expires_days is None else ExpiresAfterObject(days=store.expires_days),
        expires_at=store.expires_at,
        last_active_at=store.last_active_at,
        metadata=store.metadata,
        embedding_model=store.model,
    )


def render_file(file: StoreFile) -> StoreFileObject:
    """Render a file of a store."""
    chunking = file.chunking
    return StoreFileObject(
        id=file.id,
        usage_bytes=file.bytes,
        created_at=file.created_at,
        vector_store_id=file.store_id,
        status=file.status,
        last_error=file.error,
        chunking_strategy={
            "type": "static",
            "static": {
                "max_chunk_size_tokens": chunking.max_tokens,
                "chunk_overlap_tokens": chunking.overlap_tokens,
            },
        },
        attributes=file.attributes,
        chunk_limit_tokens=UNSET if file.window is None else file.window,
    )


def render_batch(batch: FileBatch) -> FileBatchObject:
    """Render a batch of files."""
    return FileBatchObject(
        id=batch.id,
        created_at=batch.created_at,
        vector_store_id=batch.store_id,
        status=batch.status,
        file_counts=_render_counts(batch.counts),
    )


def render_content(texts: Sequence[str]) -> ResultPage:
    """Render the texts of a file's chunks."""
    return ResultPage(object="vector_store.file_content.page", data=[TextContent(text=text) for text in texts])


def render_matches(queries: Sequence[str], matches: Sequence[FoundChunk]) -> ResultPage:
    """Render what a search found."""
    results = [
        SearchResultObject(
            file_id=match.file_id,
            filename=match.filename,
            score=match.score,
            attributes=match.attributes,
            content=[TextContent(text=match.text)],
        )
        for match in matches
    ]
    return ResultPage(object="vector_store.search_results.page", search_query=queries, data=results)


def _render_counts(counts: FileCounts) -> FileCountsObject:
    return FileCountsObject(
        in_progress=counts.in_progress,
        completed=counts.completed,
        failed=counts.failed,
        cancelled=counts.cancelled,
        total=counts.total,
    )
