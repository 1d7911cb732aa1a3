"""The bodies and query parameters of vector stores, their files and batches of files, and of searches."""

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, UnsetType

from homeport.api.compatibility import refused, served
from homeport.api.paging import PageQuery
from homeport.domain.paging import PageRequest
from homeport.domain.vector_stores import AttributeValue

_METADATA = served("Up to 16 pairs; returned unchanged.")
_CHUNKING = served(
    "auto (400 tokens, 100 of them overlap) or static; tokens are those of the embeddings model, whose window limits "
    "chunks."
)
_ATTRIBUTES = served("Up to 16; keys of 64 characters, values of 512, numbers or booleans.")


class ExpiresAfter(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """When a store expires."""

    anchor: str
    days: int


class StaticChunking(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """How files are cut."""

    max_chunk_size_tokens: int
    chunk_overlap_tokens: int


class ChunkingStrategy(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """`auto`, or `static` with its numbers."""

    type: str
    static: StaticChunking | None = None


class VectorStoreBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The body that creates a store."""

    file_ids: Annotated[list[str] | None, served("Up to 500; indexed in the background.")] = None
    name: Annotated[str | None, served("Up to 256 characters.")] = None
    description: Annotated[str | None, served("Up to 512 characters.")] = None
    expires_after: Annotated[ExpiresAfter | None, served("anchor last_active_at, and 1 to 365 days.")] = None
    chunking_strategy: Annotated[ChunkingStrategy | None, _CHUNKING] = None
    metadata: Annotated[dict[str, str] | None, _METADATA] = None
    embedding_model: Annotated[
        str | None,
        served("Extension: the model that makes the vectors; by default the one for text-embedding-3-small."),
    ] = None


class VectorStoreUpdateBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The body that changes a store."""

    name: Annotated[str | UnsetType | None, served("Up to 256 characters.")] = UNSET
    expires_after: Annotated[ExpiresAfter | UnsetType | None, served("null: it expires no more.")] = UNSET
    metadata: Annotated[dict[str, str] | UnsetType | None, _METADATA] = UNSET


class StoreFileBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The body that adds a file."""

    file_id: Annotated[str, served("A file of any purpose; one that the store has is indexed again.")]
    chunking_strategy: Annotated[ChunkingStrategy | None, _CHUNKING] = None
    attributes: Annotated[dict[str, AttributeValue] | None, _ATTRIBUTES] = None


class AttributesBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The body that replaces the attributes of a file."""

    attributes: Annotated[dict[str, AttributeValue] | None, _ATTRIBUTES]


class FileBatchBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The body that adds files together."""

    file_ids: Annotated[list[str] | None, served("1 to 2000, or `files`.")] = None
    files: Annotated[
        list[StoreFileBody] | None, served("1 to 2000, each with fields of its own, in place of `file_ids`.")
    ] = None
    chunking_strategy: Annotated[ChunkingStrategy | None, _CHUNKING] = None
    attributes: Annotated[dict[str, AttributeValue] | None, _ATTRIBUTES] = None


class HybridSearch(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The weights of the two rankings."""

    embedding_weight: float
    text_weight: float


class RankingOptions(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """How chunks are ranked."""

    ranker: str | None = None
    score_threshold: float | None = None
    hybrid_search: HybridSearch | None = None


class SearchBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The body of a search."""

    query: Annotated[str | list[str], served("A text, or up to 16.")]
    rewrite_query: Annotated[bool | None, refused("Queries are searched for as they are; `false` is accepted.")] = None
    max_num_results: Annotated[int | None, served("1 to 50; 10 by default.")] = None
    filters: Annotated[Any, served("eq, ne, gt, gte, lt, lte, in, nin; and, or; up to 64 of them, 8 deep.")] = None
    ranking_options: Annotated[
        RankingOptions | None,
        served(
            "ranker: auto and default-2024-11-15 combine vectors and words, none ranks by vectors; score_threshold "
            "0 to 1; hybrid_search: the weights of vectors and words."
        ),
    ] = None


class OrderedPageQuery(PageQuery, forbid_unknown_fields=True, kw_only=True):
    """The query parameters of a page in either direction: what follows `after`, or what precedes `before`."""

    order: str = "desc"
    before: str | None = None

    def to_ordered_request(self) -> PageRequest:
        """Return the page that is requested. One that precedes `before` is read backwards."""
        is_newest_first = (self.order == "desc") == (self.before is None)
        return PageRequest(limit=self.limit, after=self.before or self.after, is_newest_first=is_newest_first)


class StoreFilesQuery(OrderedPageQuery, forbid_unknown_fields=True, kw_only=True):
    """The query parameters of a list of a store's files."""

    filter: str | None = None
