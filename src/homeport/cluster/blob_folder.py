"""The files that one gateway sent to a replica's host: written into a folder, removed with the request that names them.

All gateways of a host share one limit of bytes. A blob that cannot be stored fails the request that names it, and no
other. Knows nothing of links.
"""

import hashlib
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import msgspec

from homeport.cluster.attached_files import File, list_files, replace_files
from homeport.cluster.messages import BeginBlob, BlobChunk
from homeport.domain.content import Attachment
from homeport.domain.errors import EngineFailed, HomeportError, InvalidRequest, StorageFull
from homeport.domain.models import Adapter
from homeport.domain.worker_messages import EngineRequest

MAX_BLOBS = 10_000
"""Blobs of one gateway at a time."""


class SpoolSpace:
    """The bytes that all blobs of a host may have together."""

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.used_bytes = 0


class _Blob:
    """One file, complete or not. `users`: the requests that name it and run."""

    def __init__(self, message: BeginBlob, path: Path) -> None:
        self.path = path
        self.left = message.size
        self.size = message.size
        self.is_kept = message.is_kept
        self.users = 0
        self.is_dropped = False
        self.error: HomeportError | None = None
        self.file: BinaryIO | None = None
        self._sha256 = message.sha256
        self._hash = hashlib.sha256()

    def write(self, data: bytes) -> None:
        """Add bytes."""
        if self.file is None or self.error is not None:
            return
        self.left -= len(data)
        if self.left < 0:
            self.error = EngineFailed("A file of the request was longer than announced.")
            return
        try:
            self.file.write(data)
            if self._sha256:
                self._hash.update(data)
            if not self.left:
                self._finish(self.file)
        except OSError as error:
            self.error = StorageFull(f"A file of the request cannot be stored on the replica's machine: {error}")

    def _finish(self, file: BinaryIO) -> None:
        file.close()
        self.file = None
        if self._sha256 and self._hash.hexdigest() != self._sha256:
            self.error = EngineFailed("A file of the request has another SHA-256 than it should have.")

    def open(self) -> None:
        """Create the file."""
        try:
            self.file = self.path.open("xb")
            if not self.left:
                self._finish(self.file)
        except OSError as error:
            self.error = StorageFull(f"A file of the request cannot be stored on the replica's machine: {error}")

    def remove(self) -> None:
        """Delete the file."""
        if self.file is not None:
            self.file.close()
            self.file = None
        self.path.unlink(missing_ok=True)


class BlobFolder:
    """The blobs of one gateway. The folder is created with the first one and removed by `close`."""

    def __init__(self, folder: Path, space: SpoolSpace) -> None:
        self._folder = folder
        self._space = space
        self._blobs: dict[str, _Blob] = {}
        self._n_files = 0

    def begin(self, message: BeginBlob) -> None:
        """Start a blob."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._n_files += 1
        blob = _Blob(message, self._folder / str(self._n_files))
        if message.blob in self._blobs or message.size < 0 or len(self._blobs) >= MAX_BLOBS:
            return  # of two with one name the first counts, and a request that names a missing one fails
        self._blobs[message.blob] = blob
        if self._space.used_bytes + message.size > self._space.limit_bytes:
            blob.size = 0
            blob.error = StorageFull("The replica's machine has no room for the files of this request.")
            return
        self._space.used_bytes += blob.size
        blob.open()

    def write(self, message: BlobChunk) -> None:
        """Add bytes to a blob. Ignored if it was dropped."""
        if blob := self._blobs.get(message.blob):
            blob.write(message.data)

    def drop(self, name: str) -> None:
        """Remove a blob once no running request names it."""
        if blob := self._blobs.get(name):
            blob.is_dropped = True
            self._remove_if_unused(name, blob)

    def names(self, request: EngineRequest) -> Sequence[str]:
        """Return the blobs that a request names."""
        found = (file.file.blob if isinstance(file, Adapter) else file.blob for file in list_files(request))
        return [blob for blob in found if blob is not None]

    def hold(self, names: Sequence[str]) -> None:
        """Keep blobs until they are released as often."""
        for name in names:
            if blob := self._blobs.get(name):
                blob.users += 1

    def release(self, names: Sequence[str]) -> None:
        """Let blobs go: the request that named them has ended."""
        for name in names:
            if blob := self._blobs.get(name):
                blob.users -= 1
                blob.is_dropped = blob.is_dropped or not blob.is_kept
                self._remove_if_unused(name, blob)

    def localize(self, request: EngineRequest) -> EngineRequest:
        """Return a request with its blobs as files of this machine.

        Raises what prevented a blob from being stored; InvalidRequest for a blob that is missing, and for a path: a
        gateway cannot know the files of this machine.
        """
        return replace_files(request, self._to_file)

    def close(self) -> None:
        """Remove all blobs."""
        for blob in self._blobs.values():
            self._space.used_bytes -= blob.size
            blob.remove()
        self._blobs.clear()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _to_file(self, file: File) -> File:
        if isinstance(file, Adapter):
            return msgspec.structs.replace(file, file=self._path(file.file))
        return self._path(file)

    def _path(self, attachment: Attachment) -> Attachment:
        blob = None if attachment.blob is None else self._blobs.get(attachment.blob)
        if blob is None or (blob.error is None and blob.left):
            raise InvalidRequest("The request names a file that did not come with it.")
        if blob.error is not None:
            raise blob.error
        return Attachment(blob.path)

    def _remove_if_unused(self, name: str, blob: _Blob) -> None:
        if blob.is_dropped and blob.users <= 0:
            del self._blobs[name]
            self._space.used_bytes -= blob.size
            blob.remove()
