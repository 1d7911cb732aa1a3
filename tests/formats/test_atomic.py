"""Files that appear complete or not at all."""

import errno
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from homeport.formats import atomic, durable_files


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The inodes of the files and folders that were synced, in order."""
    found: list[int] = []
    flush = durable_files.flush

    def note(file: int) -> None:
        found.append(os.fstat(file).st_ino)
        flush(file)

    monkeypatch.setattr(durable_files, "flush", note)
    return found


def test_a_file_is_synced_before_it_has_its_name(tmp_path: Path, synced: list[int]) -> None:
    """The content is synced first, then the folder with the name; only this user can read the file."""
    path = tmp_path / "file"
    atomic.write_file(path, b"data")
    assert synced == [path.stat().st_ino, tmp_path.stat().st_ino]
    assert path.read_bytes() == b"data"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_file_that_may_be_lost_is_not_synced(tmp_path: Path, synced: list[int]) -> None:
    """Without `is_durable` nothing waits for the disk; the permissions are the requested ones, less the umask."""
    path = tmp_path / "file"
    mask = os.umask(0o022)
    try:
        atomic.write_file(path, b"data", mode=0o666, is_durable=False)
    finally:
        os.umask(mask)
    assert synced == []
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_the_file_is_written_under_another_name(tmp_path: Path) -> None:
    """Until the block ends the target has its former content, and the new one is in a file with a suffix."""
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with atomic.replace_file(path, suffix=".part") as partial:
        assert partial == tmp_path / "file.part"
        assert partial.read_bytes() == b""
        partial.write_bytes(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the new content cannot be synced, the former file stays and no partial one is left."""
    path = tmp_path / "file"
    atomic.write_file(path, b"old")

    def fail(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(durable_files, "flush", fail)
    with pytest.raises(OSError, match="No space left"):
        atomic.write_file(path, b"new")
    assert [each.name for each in tmp_path.iterdir()] == ["file"]
    assert path.read_bytes() == b"old"


def test_an_interrupted_block_leaves_the_old_file(tmp_path: Path) -> None:
    """If the block raises anything, the former file stays and no partial one is left."""
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def write() -> None:
        with atomic.replace_file(path) as partial:
            partial.write_bytes(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write()
    assert [each.name for each in tmp_path.iterdir()] == ["file"]
    assert path.read_bytes() == b"old"


def test_a_leftover_is_replaced_and_a_link_is_not_followed(tmp_path: Path) -> None:
    """A partial file of an earlier process is replaced; if it is a link, its target is not written to."""
    other = tmp_path / "other"
    other.write_bytes(b"untouched")
    (tmp_path / "file.partial").symlink_to(other)
    atomic.write_file(tmp_path / "file", b"data")
    assert not (tmp_path / "file").is_symlink()
    assert other.read_bytes() == b"untouched"


def test_a_file_is_created_once(tmp_path: Path) -> None:
    """Of several writers one succeeds; the others find its file complete, and nothing is left over."""
    path = tmp_path / "file"
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: atomic.create_file(path, bytes([number]) * 8), range(8)))
    found = path.read_bytes()
    assert len(found) == 8
    assert len(set(found)) == 1
    atomic.create_file(path, b"late")
    assert path.read_bytes() == found
    assert [each.name for each in tmp_path.iterdir()] == ["file"]
