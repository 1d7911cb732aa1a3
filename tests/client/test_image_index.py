"""The index of a folder's images: what a scan finds new, and what it keeps."""

import os
import struct
from pathlib import Path

import pytest

from homeport.client.image_index import ImageIndex, ModelStamp

STAMP = ModelStamp("eyes", 1, 2)
OLD = 1_600_000_000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "pictures"
    for name, content in {"a.png": "a", "b.JPG": "b", "trips/c.webp": "c"}.items():
        write(made / name, content)
    return made


def write(path: Path, content: str, at: int = OLD) -> None:
    """Write a file that was last changed long ago."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    os.utime(path, (at, at))


def vector(*numbers: float) -> bytes:
    return struct.pack(f"<{len(numbers)}f", *numbers)


def index(tmp_path: Path, folder: Path, stamp: ModelStamp = STAMP) -> ImageIndex:
    return ImageIndex(tmp_path / "home", folder, stamp)


def paths(found: ImageIndex) -> list[str]:
    """Scan, and return the paths of what is new, in order."""
    return [state.path for image in found.scan() for state in image.states]


def filled(tmp_path: Path, folder: Path) -> ImageIndex:
    """Return an index with a vector for every image, saved."""
    made = index(tmp_path, folder)
    for number, image in enumerate(made.scan()):
        made.add(image, vector(1, number))
    made.save()
    return made


def test_images_are_found_everywhere(tmp_path: Path, folder: Path) -> None:
    """Images in folders inside count, whatever the case of their suffix; hidden and other files do not."""
    for name in (".hidden.png", ".git/x.png", "notes.txt", "d.heic"):
        write(folder / name, name)
    (folder / "gone.png").symlink_to(tmp_path / "nowhere")
    assert paths(index(tmp_path, folder)) == ["a.png", "b.JPG", "trips/c.webp"]


def test_unchanged_images_are_not_read_again(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A saved index knows its images by size and time, without reading them."""
    filled(tmp_path, folder)
    again = index(tmp_path, folder)
    monkeypatch.setattr("homeport.client.image_index.hash_file", lambda path: pytest.fail(f"{path} was read"))
    assert paths(again) == []
    assert len(again) == 3
    assert again.removed == 0


def test_only_what_changed_is_new(tmp_path: Path, folder: Path) -> None:
    """New and changed images are new, removed ones are dropped, and moved, copied and touched ones keep vectors."""
    filled(tmp_path, folder)
    write(folder / "a.png", "another")
    write(folder / "new.png", "new")
    write(folder / "copy of b.jpg", "b")
    (folder / "trips/c.webp").rename(folder / "moved.webp")
    write(folder / "b.JPG", "b", OLD + 60)
    again = index(tmp_path, folder)
    assert paths(again) == ["a.png", "new.png"]
    assert again.removed == 1
    found = dict(again.search(vector(0, 1), 9))
    assert found == {"b.JPG": 1.0, "copy of b.jpg": 1.0, "moved.webp": 2.0}


def test_equal_images_are_embedded_once(tmp_path: Path, folder: Path) -> None:
    """Two new files with the same content are one new image."""
    write(folder / "twin.png", "a")
    made = index(tmp_path, folder)
    new = made.scan()
    assert [[state.path for state in image.states] for image in new] == [
        ["a.png", "twin.png"],
        ["b.JPG"],
        ["trips/c.webp"],
    ]
    made.add(new[0], vector(1, 0))
    assert {match.path for match in made.search(vector(1, 0), 9)} == {"a.png", "twin.png"}


def test_a_file_changed_just_now_is_read_again(tmp_path: Path, folder: Path) -> None:
    """A file that may have changed within the resolution of its time is compared by content."""
    (folder / "a.png").write_text("first")  # its time is now
    filled(tmp_path, folder)
    state = (folder / "a.png").stat()
    (folder / "a.png").write_text("other")
    os.utime(folder / "a.png", ns=(state.st_atime_ns, state.st_mtime_ns))
    assert paths(index(tmp_path, folder)) == ["a.png"]


@pytest.mark.parametrize("stamp", [ModelStamp("eyes", 3, 2), ModelStamp("eyes", 1, 3), ModelStamp("others", 1, 2)])
def test_another_model_embeds_all(tmp_path: Path, folder: Path, stamp: ModelStamp) -> None:
    """For another model, or one installed anew under the same name, every image is new."""
    filled(tmp_path, folder)
    assert len(paths(index(tmp_path, folder, stamp))) == 3


def test_a_broken_index_is_made_again(tmp_path: Path, folder: Path) -> None:
    """A file that is no index counts as an empty one."""
    filled(tmp_path, folder)
    (file,) = (tmp_path / "home" / "search").iterdir()
    file.write_bytes(b"broken")
    assert len(paths(index(tmp_path, folder))) == 3


def test_other_users_cannot_read_it(tmp_path: Path, folder: Path) -> None:
    """The index names private files: it and its folder are closed to other users."""
    filled(tmp_path, folder)
    (file,) = (tmp_path / "home" / "search").iterdir()
    assert file.stat().st_mode & 0o077 == 0
    assert file.parent.stat().st_mode & 0o077 == 0


def test_the_nearest_come_first(tmp_path: Path, folder: Path) -> None:
    """Matches are ordered by their cosine, equal ones by path, and cut to a number; faults have no match."""
    made = index(tmp_path, folder)
    a, b, c = made.scan()
    made.add(a, vector(0.6, 0.8))
    made.add(b, vector(0.6, 0.8))
    made.add(c, fault="damaged")
    assert [match.path for match in made.search(vector(1, 0), 9)] == ["a.png", "b.JPG"]
    assert made.search(vector(1, 0), 1)[0].score == pytest.approx(0.6)
    assert made.faults == [("trips/c.webp", "damaged")]
    made.save()
    assert paths(index(tmp_path, folder)) == []
