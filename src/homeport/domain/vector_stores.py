"""Vector stores: files cut into chunks that are found by meaning and by words. Knows nothing of where they are stored.

A file of a store is `in_progress` until it is indexed, and ends as `completed`, `failed` or `cancelled`. Times are
seconds since 1970.
"""

from collections.abc import Mapping, Sequence

import msgspec

AttributeValue = str | int | float | bool
Attributes = dict[str, AttributeValue]

IN_PROGRESS, COMPLETED, FAILED, CANCELLED = "in_progress", "completed", "failed", "cancelled"
SERVER_ERROR, UNSUPPORTED_FILE, INVALID_FILE = "server_error", "unsupported_file", "invalid_file"
"""The codes of `IndexingError`."""
AUTO_CHUNK_TOKENS, AUTO_OVERLAP_TOKENS = 400, 100
"""What the chunking strategy `auto` stands for. OpenAI's 800 and 400 would compute each text twice, and exceed the
window of small models."""
DAY_S = 86_400


class Chunking(msgspec.Struct, frozen=True):
    """How files are cut: at most `max_tokens` in each chunk, of which `overlap_tokens` repeat the end of the last."""

    max_tokens: int = AUTO_CHUNK_TOKENS
    overlap_tokens: int = AUTO_OVERLAP_TOKENS


class FileCounts(msgspec.Struct, frozen=True, kw_only=True):
    """The number of files by status."""

    in_progress: int = 0
    completed: int = 0
    failed: int = 0
    cancelled: int = 0

    @property
    def total(self) -> int:
        """The number of files."""
        return self.in_progress + self.completed + self.failed + self.cancelled


class NewVectorStore(msgspec.Struct, frozen=True, kw_only=True):
    """A store to create. `model`, `digest`: the embeddings model that makes its vectors, and its weights.

    `expires_days`: the days without use after which it expires; None: it does not.
    """

    project: str
    name: str
    model: str
    digest: str
    description: str | None = None
    metadata: dict[str, str] = {}
    expires_days: int | None = None


class VectorStore(msgspec.Struct, frozen=True, kw_only=True):
    """A store of a project. `revision` changes whenever what can be found in it does. `bytes`: of its chunks."""

    id: str
    project: str
    name: str
    model: str
    digest: str
    created_at: int
    last_active_at: int
    description: str | None = None
    metadata: dict[str, str] = {}
    expires_days: int | None = None
    is_expired: bool = False
    revision: int = 0
    bytes: int = 0
    counts: FileCounts = FileCounts()

    @property
    def expires_at(self) -> int | None:
        """When it expires if it is not used; None: never."""
        return None if self.expires_days is None else self.last_active_at + self.expires_days * DAY_S


class StoreChanges(msgspec.Struct, frozen=True, kw_only=True):
    """New values of a store's fields; UNSET: the old one stays."""

    name: str | msgspec.UnsetType = msgspec.UNSET
    metadata: dict[str, str] | msgspec.UnsetType = msgspec.UNSET
    expires_days: int | msgspec.UnsetType | None = msgspec.UNSET


class NewStoreFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file to add to a store. `file_id`: a file of the project; `filename`: its name."""

    file_id: str
    filename: str
    attributes: Attributes = {}
    chunking: Chunking = Chunking()


class IndexingError(msgspec.Struct, frozen=True):
    """Why a file was not indexed."""

    code: str
    message: str


class StoreFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file of a store. `id`: of the file; `seq`: a number that no other file of any store ever has.

    `key`: the stored key that added it (empty: none), which pays for its tokens. `bytes`: of its chunks.
    `window`: the most tokens of a chunk, if the model's window made chunks smaller than `chunking` asks for.
    """

    id: str
    seq: int
    store_id: str
    project: str
    key: str
    filename: str
    status: str
    created_at: int
    batch_id: str | None = None
    attributes: Attributes = {}
    chunking: Chunking = Chunking()
    window: int | None = None
    bytes: int = 0
    n_chunks: int | None = None
    error: IndexingError | None = None


class FileBatch(msgspec.Struct, frozen=True, kw_only=True):
    """Files that were added to a store together."""

    id: str
    store_id: str
    created_at: int
    is_cancelled: bool = False
    counts: FileCounts = FileCounts()

    @property
    def status(self) -> str:
        """OpenAI's status: what failed does not make the batch fail, unless nothing else is in it."""
        if self.is_cancelled:
            return CANCELLED
        if self.counts.in_progress:
            return IN_PROGRESS
        return FAILED if self.counts.failed == self.counts.total and self.counts.total else COMPLETED


class TextChunk(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of a file's text. `vector`: little-endian 32-bit floats; empty: it is not computed yet."""

    number: int
    text: str
    vector: bytes = b""


class IndexedFile(msgspec.Struct, frozen=True, kw_only=True):
    """All chunks of a file, with their vectors. `seq` and `window` are those of the `StoreFile`."""

    seq: int
    chunks: Sequence[TextChunk]
    window: int | None = None


class Filter(msgspec.Struct, frozen=True):
    """A condition on attributes. `operator`: `and`, `or` of `filters`; else a comparison of `key` with `value`."""

    operator: str
    key: str = ""
    value: AttributeValue | tuple[str | float, ...] = ""
    filters: tuple["Filter", ...] = ()

    def matches(self, attributes: Mapping[str, AttributeValue]) -> bool:
        """Return whether attributes meet the condition. A missing one only meets `ne` and `nin`."""
        if self.operator == "and":
            return all(each.matches(attributes) for each in self.filters)
        if self.operator == "or":
            return any(each.matches(attributes) for each in self.filters)
        return _compare(self.operator, attributes.get(self.key), self.value)


class SearchQuery(msgspec.Struct, frozen=True, kw_only=True):
    """A search: the texts of queries, and their vectors in the same order. `limit`: the most chunks to return.

    `vector_weight`, `word_weight`: of the two rankings; a word weight of 0 ranks by vectors alone, and the score is
    the cosine. `threshold`: the least score.
    """

    texts: tuple[str, ...]
    vectors: tuple[bytes, ...]
    limit: int = 10
    filter: Filter | None = None
    threshold: float = 0.0
    vector_weight: float = 1.0
    word_weight: float = 1.0


class FoundChunk(msgspec.Struct, frozen=True, kw_only=True):
    """A chunk that was found. `score` is in 0..1."""

    file_id: str
    filename: str
    attributes: Attributes
    number: int
    text: str
    score: float


def _compare(operator: str, found: AttributeValue | None, wanted: AttributeValue | Sequence[str | float]) -> bool:
    if operator in ("in", "nin"):
        is_member = any(_equals(found, each) for each in wanted) if isinstance(wanted, tuple) else False
        return is_member == (operator == "in")
    if operator in ("eq", "ne"):
        return _equals(found, wanted) == (operator == "eq")
    if found is None or isinstance(found, str) != isinstance(wanted, str) or isinstance(wanted, tuple | list):
        return False
    is_less, is_equal = _is_less(found, wanted), _equals(found, wanted)
    return {"gt": not is_less and not is_equal, "gte": not is_less, "lt": is_less, "lte": is_less or is_equal}[operator]


def _equals(found: AttributeValue | None, wanted: object) -> bool:
    """Compare as JSON does: true is not 1."""
    return isinstance(found, bool) == isinstance(wanted, bool) and found == wanted


def _is_less(one: AttributeValue, other: object) -> bool:
    if isinstance(one, str) and isinstance(other, str):
        return one < other
    return float(one) < float(other) if isinstance(other, int | float) and not isinstance(one, str) else False
