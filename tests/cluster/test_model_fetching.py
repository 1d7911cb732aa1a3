"""Files from other nodes: in ranges, resumed, checked."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from homeport.cluster import model_fetching
from homeport.cluster.model_description import ModelFile
from homeport.cluster.model_fetching import ReadRange, fetch_file
from homeport.domain.errors import Unavailable

CONTENT = bytes(range(250)) * 10
FILE = ModelFile("weights.gguf", len(CONTENT), hashlib.sha256(CONTENT).hexdigest())


@pytest.fixture(autouse=True)
def short_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read 1,000 bytes at once."""
    monkeypatch.setattr(model_fetching, "RANGE_BYTES", 1000)


def names(folder: Path) -> list[str]:
    """Return the names of the files in a folder."""
    return [path.name for path in folder.iterdir()]


def reader(content: bytes, asked: list[tuple[int, int]], fails_at: int | None = None) -> ReadRange:
    """Return what reads from `content`, records what is asked for, and may fail at an offset."""

    async def read(name: str, offset: int, size: int) -> bytes:
        assert name == FILE.name
        asked.append((offset, size))
        if fails_at is not None and offset >= fails_at:
            raise ConnectionError("the node has ended")
        return content[offset : offset + size]

    return read


async def test_reads_in_ranges(tmp_path: Path) -> None:
    """A file is read in ranges, and nothing but it is left in the folder."""
    asked: list[tuple[int, int]] = []
    await fetch_file(FILE, tmp_path, reader(CONTENT, asked))
    assert asked == [(0, 1000), (1000, 1000), (2000, 500)]
    assert names(tmp_path) == [FILE.name]
    assert (tmp_path / FILE.name).read_bytes() == CONTENT


async def test_resumes(tmp_path: Path) -> None:
    """After a failure the next attempt continues with what has arrived."""
    with pytest.raises(ConnectionError):
        await fetch_file(FILE, tmp_path, reader(CONTENT, [], fails_at=2000))
    assert names(tmp_path) == [f"{FILE.name}.part"]
    asked: list[tuple[int, int]] = []
    await fetch_file(FILE, tmp_path, reader(CONTENT, asked))
    assert asked == [(2000, 500)]
    assert (tmp_path / FILE.name).read_bytes() == CONTENT


async def test_present_file_is_not_read(tmp_path: Path) -> None:
    """A file that is there already is not read again."""
    asked: list[tuple[int, int]] = []
    (tmp_path / FILE.name).write_bytes(CONTENT)
    await fetch_file(FILE, tmp_path, reader(CONTENT, asked))
    assert asked == []


@pytest.mark.parametrize("damage", [lambda content: content[:-1] + b"!", lambda content: content[:1200]])
async def test_wrong_content_is_refused(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    """Other bytes, or fewer, never get the file's name, and the next attempt begins at the start."""
    with pytest.raises(Unavailable, match=FILE.name):
        await fetch_file(FILE, tmp_path, reader(damage(CONTENT), []))
    assert names(tmp_path) == []
    await fetch_file(FILE, tmp_path, reader(CONTENT, []))
    assert (tmp_path / FILE.name).read_bytes() == CONTENT


async def test_longer_leftover_is_discarded(tmp_path: Path) -> None:
    """A partial file that is longer than the file is no part of it."""
    (tmp_path / f"{FILE.name}.part").write_bytes(CONTENT * 2)
    with pytest.raises(Unavailable):
        await fetch_file(FILE, tmp_path, reader(CONTENT, []))
    assert names(tmp_path) == []
