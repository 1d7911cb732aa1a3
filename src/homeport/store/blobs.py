"""The contents of files: in a folder, or in a bucket of an S3 service.

A blob exists completely under its name, or not at all.
"""

import secrets
from collections.abc import AsyncGenerator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, NotFoundError
from obstore.store import LocalStore, ObjectStore, S3Store

from homeport.domain.errors import (
    InvalidRequest,
    NotFound,
    StorageFull,
    Unavailable,
)
from homeport.formats import durable_files

_IDENTITY = "store-id"
_CHUNK_BYTES = 1 << 18
_PART_BYTES, _PARTS_AT_ONCE = 5 << 20, 2
"""The parts of a large file that are in memory while it is stored; S3 accepts no smaller ones."""


class BlobStore:
    """The blobs of a folder (its path), or of `s3://BUCKET/PREFIX` (credentials and region: the variables AWS_*)."""

    def __init__(self, place: str) -> None:
        self._store = _open_object_store(place)
        self._folder = None if "://" in place else Path(place)

    def put(self, name: str, content: Path) -> None:
        """Store a file's content durably. Raises StorageFull or Unavailable; then nothing is stored."""
        try:
            if self._folder is not None:
                durable_files.make_folder((self._folder / name).parent)
            obstore.put(self._store, name, content, chunk_size=_PART_BYTES, max_concurrency=_PARTS_AT_ONCE)
            if self._folder is not None:
                durable_files.sync_path(self._folder / name)
                durable_files.sync_path((self._folder / name).parent)
        except (BaseError, OSError) as error:
            raise _translate_error(error) from error

    def identity(self) -> str:
        """Return what tells this place from every other one: a random text that it stores. Raises Unavailable."""
        for _ in range(2):
            try:
                return self.get_bytes(_IDENTITY).decode("ascii")
            except NotFound:
                self._create_identity()
        raise Unavailable("Files cannot be stored: what was written is not found.")

    def _create_identity(self) -> None:
        try:
            obstore.put(self._store, _IDENTITY, secrets.token_hex(16).encode(), mode="create")
        except AlreadyExistsError:  # another gateway was first
            return
        except (BaseError, OSError) as error:
            raise _translate_error(error) from error

    def put_bytes(self, name: str, data: bytes) -> None:
        """Store a small blob. Raises StorageFull or Unavailable; then nothing is stored."""
        try:
            obstore.put(self._store, name, data)
        except (BaseError, OSError) as error:
            raise _translate_error(error) from error

    def get_bytes(self, name: str) -> bytes:
        """Return a small blob. Raises NotFound or Unavailable."""
        try:
            return bytes(obstore.get(self._store, name).bytes())
        except (BaseError, OSError) as error:
            raise _translate_error(error) from error

    def list_sizes(self, prefix: str) -> Iterator[tuple[str, int]]:
        """Yield the names and sizes of the blobs under a prefix. Raises Unavailable."""
        try:
            for page in obstore.list(self._store, prefix=prefix):
                yield from ((each["path"], each["size"]) for each in page)
        except (BaseError, OSError) as error:
            raise _translate_error(error) from error

    async def read(self, name: str) -> AsyncGenerator[bytes, None]:
        """Yield a blob in chunks. Raises NotFound before the first one."""
        try:
            found = await obstore.get_async(self._store, name)
            async for chunk in found.stream(min_chunk_size=_CHUNK_BYTES):
                yield bytes(chunk)
        except (BaseError, OSError) as error:
            raise _translate_error(error) from error

    def copy(self, name: str, target: Path) -> int:
        """Append a blob to a file and return its size. Raises NotFound, StorageFull or Unavailable."""
        n_bytes = 0
        try:
            with target.open("ab") as file:
                for chunk in obstore.get(self._store, name).stream(min_chunk_size=_CHUNK_BYTES):
                    n_bytes += file.write(chunk)
        except (BaseError, OSError) as error:
            raise _translate_error(error) from error
        return n_bytes

    def delete(self, name: str) -> None:
        """Delete a blob, if it exists."""
        try:
            obstore.delete(self._store, name)
        except (NotFoundError, FileNotFoundError):
            return
        except (BaseError, OSError) as error:
            raise _translate_error(error) from error

    def list_older(self, prefix: str, age_s: float) -> Iterator[str]:
        """Yield the names of the blobs under a prefix that are older than `age_s`."""
        before = datetime.now(UTC) - timedelta(seconds=age_s)
        try:
            for page in obstore.list(self._store, prefix=prefix):
                yield from (each["path"] for each in page if each["last_modified"] < before)
        except (BaseError, OSError) as error:
            raise _translate_error(error) from error


def _open_object_store(place: str) -> ObjectStore:
    try:
        if place.startswith("s3://"):
            return S3Store.from_url(place)
        if "://" in place:
            raise InvalidRequest(f"blobs: {place} is neither a folder nor s3://BUCKET/PREFIX.")
        durable_files.make_folder(Path(place))
        return LocalStore(prefix=Path(place), automatic_cleanup=True)
    except (BaseError, OSError, ValueError) as error:
        raise Unavailable(f"blobs: {place} cannot be used: {error}") from error


def _translate_error(error: Exception) -> Exception:
    message = str(error)
    if isinstance(error, (NotFoundError, FileNotFoundError)):
        return NotFound("The content of this file is missing.", code="file_content_missing")
    if durable_files.reports_full_disk(message):
        return StorageFull("The disk on which files are stored is full.")
    return Unavailable(f"Files cannot be reached: {message.splitlines()[0] if message else type(error).__name__}")
