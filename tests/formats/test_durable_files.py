"""Files and folders that survive a power cut."""

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from homeport.domain.errors import StorageFull, Unavailable
from homeport.formats import atomic, durable_files


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The inodes of the files and folders that were synced, in order."""
    found: list[int] = []
    flush = durable_files.flush

    def noted(file: int) -> None:
        found.append(os.fstat(file).st_ino)
        flush(file)

    monkeypatch.setattr(durable_files, "flush", noted)
    return found


def test_every_new_folder_is_synced_into_its_parent(tmp_path: Path, synced: list[int]) -> None:
    """The name of each missing folder is synced; an existing one costs nothing."""
    folder = tmp_path / "a" / "b"
    durable_files.make_folder(folder)
    assert set(synced) == {tmp_path.stat().st_ino, (tmp_path / "a").stat().st_ino}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    synced.clear()
    durable_files.make_folder(folder)
    assert synced == []


def _refusing(kind: Callable[[int], bool], number: int) -> Callable[[int], None]:
    def flush(file: int) -> None:
        if kind(os.fstat(file).st_mode):
            raise OSError(number, os.strerror(number))

    return flush


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP, errno.EACCES])
def test_folders_that_cannot_be_synced_are_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Files can be written on file systems that cannot sync folders."""
    monkeypatch.setattr(durable_files, "flush", _refusing(stat.S_ISDIR, number))
    durable_files.make_folder(tmp_path / "a" / "b")
    atomic.write_file(tmp_path / "a" / "b" / "file", b"data")
    assert (tmp_path / "a" / "b" / "file").read_bytes() == b"data"


def test_a_disk_that_fails_is_not_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of the disk, and a file that cannot be synced, are raised."""
    monkeypatch.setattr(durable_files, "flush", _refusing(stat.S_ISDIR, errno.EIO))
    with pytest.raises(OSError, match="Input/output"):
        atomic.write_file(tmp_path / "file", b"data")
    monkeypatch.setattr(durable_files, "flush", _refusing(stat.S_ISREG, errno.EINVAL))
    with pytest.raises(OSError, match="Invalid argument"):
        durable_files.sync_path(tmp_path / "file")


@pytest.mark.parametrize(
    ("message", "is_full"),
    [
        ("write: No space left on device", True),
        ("database or disk is full", True),
        ("Disk quota exceeded (os error 122)", True),
        ("Generic LocalFileSystem error: os error 28", True),
        ("Permission denied", False),
    ],
)
def test_a_full_disk_is_recognized_in_messages(message: str, is_full: bool) -> None:
    """The messages of libraries and programs are recognized, with any text around them."""
    assert durable_files.reports_full_disk(message) == is_full


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_is_told_from_other_reasons(number: int) -> None:
    """A full disk is StorageFull; anything else is Unavailable and says why."""
    assert isinstance(durable_files.storage_error(OSError(number, "x"), "a picture"), StorageFull)
    other = durable_files.storage_error(OSError(errno.EROFS, "Read-only file system"), "a picture")
    assert isinstance(other, Unavailable)
    assert other.message == "A picture cannot be written: Read-only file system."
