"""Images under names that nobody can guess, stored for a limited time."""

import errno
import os
import stat
from pathlib import Path

import pytest

from homeport.domain.errors import StorageFull
from homeport.domain.images import ImageFormat
from homeport.formats import durable_files
from homeport.store.images import ImageFolder
from tests.fake_clock import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(1_800_000_000.0)


def test_a_picture_is_there_until_its_time_is_over(tmp_path: Path, clock: FakeClock) -> None:
    """An image is found until its last second, and not afterwards."""
    pictures = ImageFolder(tmp_path / "pictures", 3600, clock)
    name = pictures.save(b"data", ImageFormat.WEBP)
    assert name.endswith(".webp")
    clock.now += 3599
    assert pictures.find(name) == b"data"
    clock.now += 1
    assert pictures.find(name) is None


def test_another_server_knows_them_too(tmp_path: Path, clock: FakeClock) -> None:
    """After a restart, even with another setting, each image expires when it was to expire at its creation."""
    name = ImageFolder(tmp_path, 3600, clock).save(b"data", ImageFormat.PNG)
    after = ImageFolder(tmp_path, 1, clock)
    clock.now += 3000
    assert after.find(name) == b"data"
    clock.now += 600
    assert after.find(name) is None


def test_what_has_expired_leaves_the_disk(tmp_path: Path, clock: FakeClock) -> None:
    """Expired images are deleted by a sweep, and whenever an image is stored; others stay."""
    pictures = ImageFolder(tmp_path, 100, clock)
    pictures.save(b"old", ImageFormat.PNG)
    clock.now += 60
    kept = pictures.save(b"young", ImageFormat.JPEG)
    (tmp_path / f"{'0' * 8}-{'a' * 43}.png.partial").write_bytes(b"half")
    clock.now += 50
    pictures.sweep()
    assert [path.name for path in tmp_path.rglob("*.*")] == [kept]
    clock.now += 50
    pictures.save(b"new", ImageFormat.PNG)
    assert len(list(tmp_path.rglob("*.*"))) == 1


def test_sweeping_where_nothing_was_kept_is_fine(tmp_path: Path) -> None:
    """A server without images has no folder."""
    ImageFolder(tmp_path / "none", 100).sweep()
    assert not (tmp_path / "none").exists()


def test_names_are_not_to_be_guessed_and_files_are_the_users_alone(tmp_path: Path) -> None:
    """Two names share no more than their time; no other user can read the files."""
    pictures = ImageFolder(tmp_path / "pictures", 100)
    one, other = (pictures.save(b"x", ImageFormat.PNG) for _ in range(2))
    assert one.partition("-")[2][:43] != other.partition("-")[2][:43]
    folder = tmp_path / "pictures"
    for path in (folder, folder / "local", folder / "local" / one):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0


@pytest.mark.parametrize("name", ["", "..", "../secret.png", "/etc/passwd", "ffffffff-a.png", "a\0b", "x" * 5000])
def test_other_names_find_nothing(tmp_path: Path, name: str) -> None:
    """Whatever name is requested, only a stored image is returned."""
    (tmp_path / "secret.png").write_bytes(b"secret")
    assert ImageFolder(tmp_path / "pictures", 100).find(name) is None


def test_what_cannot_be_removed_is_left(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that cannot be deleted is logged; images are stored and deleted all the same."""
    pictures = ImageFolder(tmp_path, 3600)
    (tmp_path / "stray.partial").touch()
    (tmp_path / "held.partial").touch()
    unlink = Path.unlink

    def held(path: Path, missing_ok: bool = False) -> None:
        if path.name == "held.partial":
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", held)
    name = pictures.save(b"data", ImageFormat.PNG)
    assert pictures.find(name) == b"data"
    assert not (tmp_path / "stray.partial").exists()
    assert "cannot delete" in caplog.text


def test_a_full_disk_leaves_nothing_of_a_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the disk is full, storing an image raises StorageFull and leaves nothing."""
    pictures = ImageFolder(tmp_path, 3600)

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(durable_files, "flush", full)
    with pytest.raises(StorageFull):
        pictures.save(b"data", ImageFormat.PNG)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
