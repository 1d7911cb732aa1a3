"""From the bodies of vector stores to what is to be stored, checks included. Knows nothing of storage or searches."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from msgspec import UNSET, UnsetType

from homeport.api.vector_stores.schema import (
    ChunkingStrategy,
    ExpiresAfter,
    FileBatchBody,
    StoreFileBody,
    VectorStoreBody,
    VectorStoreUpdateBody,
)
from homeport.domain import validation
from homeport.domain.errors import InvalidRequest, NotFound
from homeport.domain.models import InstalledModel
from homeport.domain.vector_stores import (
    Attributes,
    AttributeValue,
    Chunking,
    NewStoreFile,
    NewVectorStore,
    StoreChanges,
)

MAX_NEW_FILES, MAX_BATCH_FILES = 500, 2000
MIN_CHUNK_TOKENS, MAX_CHUNK_TOKENS = 100, 4096
MAX_NAME_CHARS, MAX_DESCRIPTION_CHARS = 256, 512
_MAX_ATTRIBUTES, _MAX_KEY_CHARS, _MAX_VALUE_CHARS = 16, 64, 512
_MAX_DAYS = 365
_ID_CHARS = 256

NameOf = Callable[[str], str]
"""Returns the name of a file of the project, by its id. Raises NotFound. May block."""


def to_new_store(body: VectorStoreBody, project: str, model: InstalledModel) -> NewVectorStore:
    """Return the store to create. Raises InvalidRequest naming the field."""
    validation.check_length("name", body.name, MAX_NAME_CHARS)
    validation.check_length("description", body.description, MAX_DESCRIPTION_CHARS)
    validation.check_metadata("metadata", body.metadata)
    return NewVectorStore(
        project=project,
        name=body.name or "",
        description=body.description,
        metadata=body.metadata or {},
        expires_days=to_days(body.expires_after),
        model=model.facts.name,
        digest=model.digest,
    )


def to_changes(body: VectorStoreUpdateBody) -> StoreChanges:
    """Return what is to be changed. Raises InvalidRequest naming the field."""
    if isinstance(body.name, str):
        validation.check_length("name", body.name, MAX_NAME_CHARS)
    if isinstance(body.metadata, dict):
        validation.check_metadata("metadata", body.metadata)
    expiry = body.expires_after
    return StoreChanges(
        name="" if body.name is None else body.name,
        metadata={} if body.metadata is None else body.metadata,
        expires_days=UNSET if isinstance(expiry, UnsetType) else to_days(expiry),
    )


def to_days(expires_after: ExpiresAfter | None) -> int | None:
    """Return after how many days without use a store expires. Raises InvalidRequest naming the field."""
    if expires_after is None:
        return None
    validation.check_choice("expires_after.anchor", expires_after.anchor, ("last_active_at",))
    validation.check_integer("expires_after.days", expires_after.days, 1, _MAX_DAYS)
    return expires_after.days


def to_chunking(strategy: ChunkingStrategy | None, place: str = "chunking_strategy") -> Chunking:
    """Return how files are cut. Raises InvalidRequest naming the field."""
    if strategy is None:
        return Chunking()
    validation.check_choice(f"{place}.type", strategy.type, ("auto", "static"))
    if strategy.type == "auto":
        if strategy.static is not None:
            raise InvalidRequest("The strategy 'auto' has no 'static'.", param=f"{place}.static")
        return Chunking()
    if strategy.static is None:
        raise validation.missing(f"{place}.static")
    most, overlap = strategy.static.max_chunk_size_tokens, strategy.static.chunk_overlap_tokens
    place = f"{place}.static"
    validation.check_integer(f"{place}.max_chunk_size_tokens", most, MIN_CHUNK_TOKENS, MAX_CHUNK_TOKENS)
    validation.check_integer(f"{place}.chunk_overlap_tokens", overlap, 0, most // 2)
    return Chunking(most, overlap)


def to_attributes(attributes: Mapping[str, AttributeValue] | None, place: str = "attributes") -> Attributes:
    """Check the attributes of a file and return them. Raises InvalidRequest naming the field."""
    validation.check_entries(place, attributes, _MAX_ATTRIBUTES)
    for key, value in (attributes or {}).items():
        validation.check_length(place, key, _MAX_KEY_CHARS)
        if isinstance(value, str):
            validation.check_length(f"{place}.{key}", value, _MAX_VALUE_CHARS)
    return dict(attributes or {})


def to_new_files(
    file_ids: Sequence[str], strategy: ChunkingStrategy | None, name_of: NameOf, attributes: Attributes | None = None
) -> list[NewStoreFile]:
    """Return files to add to a new store, or in one batch. Blocks. Raises InvalidRequest naming the field."""
    chunking = to_chunking(strategy)
    return _without_repeats(
        NewStoreFile(
            file_id=file_id,
            filename=_name(file_id, name_of, f"file_ids[{at}]"),
            attributes=attributes or {},
            chunking=chunking,
        )
        for at, file_id in enumerate(file_ids)
    )


def to_new_file(body: StoreFileBody, name_of: NameOf, place: str = "") -> NewStoreFile:
    """Return a file to add. `place`: what precedes the names of its fields. Blocks. Raises InvalidRequest, NotFound."""
    return NewStoreFile(
        file_id=body.file_id,
        filename=_name(body.file_id, name_of, f"{place}file_id"),
        attributes=to_attributes(body.attributes, f"{place}attributes"),
        chunking=to_chunking(body.chunking_strategy, f"{place}chunking_strategy"),
    )


def to_batch_files(body: FileBatchBody, name_of: NameOf) -> list[NewStoreFile]:
    """Return the files of a batch. Blocks. Raises InvalidRequest naming the field."""
    if (body.file_ids is None) == (body.files is None):
        raise InvalidRequest("Send either 'file_ids' or 'files'.", param="file_ids")
    validation.check_items("file_ids", body.file_ids, MAX_BATCH_FILES, 1)
    validation.check_items("files", body.files, MAX_BATCH_FILES, 1)
    if body.files is not None:
        return _without_repeats(to_new_file(each, name_of, f"files[{at}].") for at, each in enumerate(body.files))
    attributes = to_attributes(body.attributes)
    return to_new_files(body.file_ids or (), body.chunking_strategy, name_of, attributes)


def _name(file_id: str, name_of: NameOf, place: str) -> str:
    validation.check_length(place, file_id, _ID_CHARS, 1)
    try:
        return name_of(file_id)
    except NotFound as error:
        raise NotFound(error.message, param=place, code="file_not_found") from error


def _without_repeats(files: Iterable[NewStoreFile]) -> list[NewStoreFile]:
    """Return files, of those that are named several times the last one."""
    return list({file.file_id: file for file in files}.values())
