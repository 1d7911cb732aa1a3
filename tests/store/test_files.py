"""Stored files and uploads, on SQLite and PostgreSQL: complete or not at all."""

import hashlib
import os
from pathlib import Path

import pytest

from homeport.domain.errors import InvalidRequest, NotFound, StorageFull
from homeport.domain.files import NewFile, NewUpload
from homeport.domain.paging import Page, PageRequest
from homeport.store.blobs import BlobStore
from homeport.store.database import Database
from homeport.store.files import SqlFileRepository
from homeport.store.uploads import SqlUploadRepository

FILE = NewFile(project="one", purpose="user_data", filename="a")
UPLOAD = NewUpload(
    project="one",
    purpose="user_data",
    filename="a",
    bytes=6,
    mime_type="text/plain",
)


class FileStoreFixture:
    """Files and uploads on one database and one folder. `now`: the wall clock."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.now = 1_700_000_000.0
        self.folder = folder
        self.blobs = BlobStore(str(folder / "blobs"))
        self.files = SqlFileRepository(database, self.blobs, lambda: self.now)
        self.uploads = SqlUploadRepository(database, self.blobs, self.files, lambda: self.now)

    def content(self, data: bytes = b"hello!") -> Path:
        """Write a file with this content."""
        path = self.folder / hashlib.sha256(data).hexdigest()
        path.write_bytes(data)
        return path

    def kept(self) -> list[str]:
        """The names of the stored contents."""
        return sorted(self.blobs.list_older("", -60))


@pytest.fixture
def stores(database: Database, tmp_path: Path) -> FileStoreFixture:
    return FileStoreFixture(database, tmp_path)


def test_a_file_is_kept_and_copied(stores: FileStoreFixture) -> None:
    """A stored file is found by its project only, and its copy replaces the file at a path."""
    kept = stores.files.create(FILE, stores.content())
    assert stores.files.get("one", kept.id) == kept
    assert (kept.bytes, kept.created_at) == (6, 1_700_000_000)
    target = stores.content(b"what was there before")
    stores.files.copy(kept, target)
    assert target.read_bytes() == b"hello!"
    with pytest.raises(NotFound):
        stores.files.get("other", kept.id)


def test_a_file_without_a_row_is_not_kept(stores: FileStoreFixture) -> None:
    """If the row cannot be written, the content is deleted."""

    def full(*_: object) -> None:
        raise StorageFull("full")

    with pytest.raises(StorageFull):
        stores.files.create(FILE, stores.content(), full)
    assert stores.kept() == []
    assert stores.files.list_page("one", PageRequest()) == Page()


def test_what_a_dead_process_left_is_swept(stores: FileStoreFixture) -> None:
    """A content without a row is deleted once it is so old that no process is still storing it; others stay."""
    kept = stores.files.create(FILE, stores.content())
    stores.blobs.put("files/file-left", stores.content())
    stores.files.sweep()
    assert len(stores.kept()) == 2
    left = stores.folder / "blobs" / "files"
    for path in left.iterdir():
        os.utime(path, (1, 1))
    stores.files.sweep()
    assert stores.kept() == [f"files/{kept.id}"]


def test_two_ends_of_one_upload_make_one_file(stores: FileStoreFixture) -> None:
    """Of two requests that complete the same upload the second one fails and leaves nothing."""
    upload = stores.uploads.create(UPLOAD)
    part = stores.uploads.add_part("one", upload.id, stores.content())
    target = stores.folder / "whole"
    first = stores.uploads.assemble("one", upload.id, [part.id], target)
    done, file = stores.uploads.complete(first, target)
    assert (done.status, done.file_id) == ("completed", file.id)
    with pytest.raises(InvalidRequest, match="is completed"):
        stores.uploads.complete(first, target)
    assert stores.kept() == [f"files/{file.id}"]
    assert stores.uploads.get("one", upload.id).file_id == file.id


def test_a_late_upload_expires_with_its_parts(stores: FileStoreFixture) -> None:
    """An upload expires an hour after its start; the sweep deletes its parts."""
    upload = stores.uploads.create(UPLOAD)
    stores.uploads.add_part("one", upload.id, stores.content())
    stores.now += 3599
    stores.uploads.sweep()
    assert stores.uploads.get("one", upload.id).status == "pending"
    stores.now += 1
    assert stores.uploads.get("one", upload.id).status == "expired"
    stores.uploads.sweep()
    assert stores.kept() == []
    assert stores.uploads.get("one", upload.id).status == "expired"
