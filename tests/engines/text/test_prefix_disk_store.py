"""Prefixes on disk: found again within their namespace, and damaged or foreign files are never used."""

import errno
import os
import stat
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import Self

import pytest

from homeport.engines.text import prefix_disk_store as module
from homeport.engines.text.prefix_disk_store import PrefixDiskStore

TOKENS = tuple(range(100, 300))
STATE = bytes(range(256)) * 40


@contextmanager
def opened(folder: Path, identity: str = "model", limit: int = 10_000_000) -> Iterator[PrefixDiskStore]:
    """Open and start a store."""
    store = PrefixDiskStore(folder, identity, limit)
    store.start()
    try:
        yield store
    finally:
        store.close()


def read(store: PrefixDiskStore, namespace: Hashable, tokens: tuple[int, ...] = TOKENS) -> bytes | None:
    """Return the KV stored for these tokens; None if there is none, or it is lost."""
    found = store.find(namespace, tokens, len(tokens))
    if found is None:
        return None
    results: SimpleQueue[bytes | None] = SimpleQueue()
    store.read_later(found[0], lambda _, state: results.put(state))
    return results.get(timeout=10)


def put(store: PrefixDiskStore, namespace: Hashable, tokens: tuple[int, ...] = TOKENS, state: bytes = STATE) -> None:
    """Store a prefix and wait until it is written."""
    store.write_later(namespace, tokens, state)
    assert store.wait(10)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with one prefix of the project `one`."""
    created = tmp_path / "prefixes" / "model"
    with opened(created) as store:
        put(store, ("", "one"))
    return created


def test_a_prefix_is_found_after_a_restart(folder: Path) -> None:
    """The longest shared prefix is found, and its KV is read back unchanged."""
    with opened(folder) as store:
        found = store.find(("", "one"), (*TOKENS[:150], 7, 8), 152)
        assert found is not None
        assert found[1] == 150
        assert read(store, ("", "one")) == STATE


@pytest.mark.parametrize("namespace", [("", "two"), ("",), ("adapter", "one")])
def test_prefixes_are_found_in_their_namespace_only(folder: Path, namespace: Hashable) -> None:
    """Another project, the shared namespace and another adapter find nothing."""
    with opened(folder) as store:
        assert store.find(namespace, TOKENS, len(TOKENS)) is None


def test_only_the_owner_has_access(folder: Path) -> None:
    """The folder has mode 0700, files 0600, and their names reveal nothing: storing a prefix twice gives two names."""
    with opened(folder) as store:
        put(store, ("", "one"))
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    files = list(folder.iterdir())
    assert len(files) == 2
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert b"one" not in b"".join(file.read_bytes()[:200] for file in files)


def test_prefixes_of_another_model_are_deleted(folder: Path) -> None:
    """A store for other weights, kernels or releases finds nothing and deletes the files."""
    with opened(folder, "another") as store:
        assert store.find(("", "one"), TOKENS, len(TOKENS)) is None
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("place", [3, 40, 300, 1500, -5])
def test_a_damaged_file_is_never_used(folder: Path, place: int) -> None:
    """If one byte is changed in the header, the tokens or the KV, nothing is returned and the file is deleted."""
    (file,) = folder.iterdir()
    content = bytearray(file.read_bytes())
    content[place] ^= 0x10
    file.write_bytes(content)
    with opened(folder) as store:
        assert read(store, ("", "one")) is None
        assert read(store, ("", "one")) is None
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("size", [0, 5, 30, 500, 5_000])
def test_an_incomplete_file_is_deleted(folder: Path, size: int) -> None:
    """A file cut short by a crash or a full disk is deleted."""
    (file,) = folder.iterdir()
    os.truncate(file, size)
    with opened(folder) as store:
        assert store.find(("", "one"), TOKENS, len(TOKENS)) is None
    assert list(folder.iterdir()) == []


def test_unknown_files_are_left_alone(folder: Path, tmp_path: Path) -> None:
    """Files with other names stay; an unfinished one and a symbolic link are deleted; the link's target stays."""
    target = tmp_path / "target"
    target.write_bytes(b"precious")
    (folder / "notes.txt").write_text("mine")
    (folder / "x.prefix.part").write_bytes(b"half")
    (folder / "y.prefix").symlink_to(target)
    (folder / "z.prefix").write_bytes(b"\xff" * 1000)
    with opened(folder) as store:
        assert read(store, ("", "one")) == STATE
    names = {file.name for file in folder.iterdir()}
    assert "notes.txt" in names
    assert len(names) == 2
    assert target.read_bytes() == b"precious"


def test_a_file_that_vanishes_is_a_miss(folder: Path) -> None:
    """A file that is deleted while the server runs is a miss, once."""
    with opened(folder) as store:
        for file in folder.iterdir():
            file.unlink()
        assert read(store, ("", "one")) is None
        assert store.find(("", "one"), TOKENS, len(TOKENS)) is None


def test_the_least_recently_used_is_deleted_first(tmp_path: Path) -> None:
    """If two of three fit, the least recently used is deleted, also after a restart.

    One that is too large is not written.
    """
    runs = [tuple(range(first, first + 100)) for first in (0, 1000, 2000)]
    limit = 25_000  # two of some 10,700 bytes
    with opened(tmp_path, limit=limit) as store:
        put(store, "p", runs[0])
        put(store, "p", runs[1])
        for when, file in enumerate(tmp_path.iterdir()):
            os.utime(file, (when, when))
        assert read(store, "p", runs[0]) == STATE  # used just now
    with opened(tmp_path, limit=limit) as store:
        put(store, "p", runs[2])
        put(store, "p", runs[1][:50], bytes(30_000))
        assert [read(store, "p", run) is not None for run in runs] == [True, False, True]
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) <= limit
    with opened(tmp_path, limit=100):
        assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_survived(tmp_path: Path) -> None:
    """If writing fails, no partial file remains, the failure is logged, and later prefixes are stored."""

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

    with opened(tmp_path) as store:
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(module, "_open", full)
            put(store, "p")
        assert list(tmp_path.iterdir()) == []
        assert store.find("p", TOKENS, 200) is None
        put(store, "p")
        assert read(store, "p") == STATE


def test_nothing_ends_the_stores_thread(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever fails while one prefix is read or written, its request gets a result, and so does the next one."""

    def broken(*_: object) -> None:
        raise MemoryError("no room")

    with opened(folder) as store:
        with monkeypatch.context() as patch:
            patch.setattr(store, "_read", broken)
            patch.setattr(store, "_write", broken)
            assert read(store, ("", "one")) is None
            put(store, ("", "two"))
        assert read(store, ("", "one")) == STATE
