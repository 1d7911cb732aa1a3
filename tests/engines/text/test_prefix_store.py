"""Prefixes in files: found again by whoever may, and nothing else is ever taken for one."""

import errno
import os
import stat
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import Self

import pytest

from homeport.engines.text import prefix_store as module
from homeport.engines.text.prefix_store import PrefixStore

TOKENS = tuple(range(100, 300))
STATE = bytes(range(256)) * 40


@contextmanager
def opened(folder: Path, identity: str = "model", limit: int = 10_000_000) -> Iterator[PrefixStore]:
    """A shelf at work."""
    shelf = PrefixStore(folder, identity, limit)
    shelf.start()
    try:
        yield shelf
    finally:
        shelf.close()


def read(shelf: PrefixStore, namespace: Hashable, tokens: tuple[int, ...] = TOKENS) -> bytes | None:
    """What is kept for these tokens; None where nothing is, or it is lost."""
    found = shelf.find(namespace, tokens, len(tokens))
    if found is None:
        return None
    answers: SimpleQueue[bytes | None] = SimpleQueue()
    shelf.read_later(found[0], lambda _, state: answers.put(state))
    return answers.get(timeout=10)


def put(shelf: PrefixStore, namespace: Hashable, tokens: tuple[int, ...] = TOKENS, state: bytes = STATE) -> None:
    """Keep a prefix and wait until it is written."""
    shelf.write_later(namespace, tokens, state)
    assert shelf.wait(10)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that does not exist yet, holding one prefix of the project `one`."""
    made = tmp_path / "prefixes" / "model"
    with opened(made) as shelf:
        put(shelf, ("", "one"))
    return made


def test_a_prefix_is_found_after_a_restart(folder: Path) -> None:
    """The longest shared beginning is found, and read back byte for byte."""
    with opened(folder) as shelf:
        found = shelf.find(("", "one"), (*TOKENS[:150], 7, 8), 152)
        assert found is not None
        assert found[1] == 150
        assert read(shelf, ("", "one")) == STATE


@pytest.mark.parametrize("namespace", [("", "two"), ("",), ("adapter", "one")])
def test_no_one_finds_anothers_prefix(folder: Path, namespace: Hashable) -> None:
    """Another project, the shared space and another adapter find nothing."""
    with opened(folder) as shelf:
        assert shelf.find(namespace, TOKENS, len(TOKENS)) is None


def test_only_the_owner_may_look(folder: Path) -> None:
    """Folder 0700, files 0600, and names that say nothing of what is inside: the same prefix twice has two."""
    with opened(folder) as shelf:
        put(shelf, ("", "one"))
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    files = list(folder.iterdir())
    assert len(files) == 2
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert b"one" not in b"".join(file.read_bytes()[:200] for file in files)


def test_what_holds_for_another_model_is_removed(folder: Path) -> None:
    """Other weights, kernels or releases find nothing, and the files are gone."""
    with opened(folder, "another") as shelf:
        assert shelf.find(("", "one"), TOKENS, len(TOKENS)) is None
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("place", [3, 40, 300, 1500, -5])
def test_a_damaged_file_is_never_taken(folder: Path, place: int) -> None:
    """One byte changed anywhere, in the header, the tokens or the KV: nothing is given out, and the file is gone."""
    (file,) = folder.iterdir()
    content = bytearray(file.read_bytes())
    content[place] ^= 0x10
    file.write_bytes(content)
    with opened(folder) as shelf:
        assert read(shelf, ("", "one")) is None
        assert read(shelf, ("", "one")) is None
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("size", [0, 5, 30, 500, 5_000])
def test_half_a_file_is_removed(folder: Path, size: int) -> None:
    """What a crash or a full disk cut short is no prefix."""
    (file,) = folder.iterdir()
    os.truncate(file, size)
    with opened(folder) as shelf:
        assert shelf.find(("", "one"), TOKENS, len(TOKENS)) is None
    assert list(folder.iterdir()) == []


def test_strange_files_are_left_alone(folder: Path, tmp_path: Path) -> None:
    """Files of other names stay; a half written one, and a link that looks like a prefix, go; its target stays."""
    target = tmp_path / "target"
    target.write_bytes(b"precious")
    (folder / "notes.txt").write_text("mine")
    (folder / "x.prefix.part").write_bytes(b"half")
    (folder / "y.prefix").symlink_to(target)
    (folder / "z.prefix").write_bytes(b"\xff" * 1000)
    with opened(folder) as shelf:
        assert read(shelf, ("", "one")) == STATE
    names = {file.name for file in folder.iterdir()}
    assert "notes.txt" in names
    assert len(names) == 2
    assert target.read_bytes() == b"precious"


def test_a_file_that_vanishes_is_a_miss(folder: Path) -> None:
    """Removed by hand while the server runs: computed again, once."""
    with opened(folder) as shelf:
        for file in folder.iterdir():
            file.unlink()
        assert read(shelf, ("", "one")) is None
        assert shelf.find(("", "one"), TOKENS, len(TOKENS)) is None


def test_the_least_recently_used_goes_first(tmp_path: Path) -> None:
    """Three of which two fit: the one used longest ago goes, also after a restart; too large a one is not written."""
    runs = [tuple(range(first, first + 100)) for first in (0, 1000, 2000)]
    limit = 25_000  # two of some 10,700 bytes
    with opened(tmp_path, limit=limit) as shelf:
        put(shelf, "p", runs[0])
        put(shelf, "p", runs[1])
        for when, file in enumerate(tmp_path.iterdir()):
            os.utime(file, (when, when))
        assert read(shelf, "p", runs[0]) == STATE  # used just now
    with opened(tmp_path, limit=limit) as shelf:
        put(shelf, "p", runs[2])
        put(shelf, "p", runs[1][:50], bytes(30_000))
        assert [read(shelf, "p", run) is not None for run in runs] == [True, False, True]
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) <= limit
    with opened(tmp_path, limit=100):
        assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_survived(tmp_path: Path) -> None:
    """Where writing fails, nothing half remains, the log says so, and later prefixes are kept again."""

    class Full:
        def __enter__(self) -> Self:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def write(self, _: bytes) -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    really = module._open

    def full(path: Path, flags: int) -> Full:
        really(path, flags).close()
        return Full()

    with opened(tmp_path) as shelf:
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(module, "_open", full)
            put(shelf, "p")
        assert list(tmp_path.iterdir()) == []
        assert shelf.find("p", TOKENS, 200) is None
        put(shelf, "p")
        assert read(shelf, "p") == STATE


def test_nothing_ends_the_shelfs_thread(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever breaks while one prefix is read or written, who waits for it is told, and the next one is answered."""

    def broken(*_: object) -> None:
        raise MemoryError("no room")

    with opened(folder) as shelf:
        with monkeypatch.context() as patch:
            patch.setattr(shelf, "_read", broken)
            patch.setattr(shelf, "_write", broken)
            assert read(shelf, ("", "one")) is None
            put(shelf, ("", "two"))
        assert read(shelf, ("", "one")) == STATE
