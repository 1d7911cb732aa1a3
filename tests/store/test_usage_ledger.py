"""When a written line is synced, and who waits for it."""

import asyncio
import os
import threading
import time
from pathlib import Path

import pytest

from homeport.formats import durable_files
from homeport.store.usage_ledger import FileUsageLedger
from tests.store.test_usage import spent


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "usage"


class Disk:
    """The disk of a ledger: counts syncs, and can delay them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.n_syncs = 0
        self.threads: set[int] = set()
        self.goes = threading.Event()
        self.goes.set()
        monkeypatch.setattr(durable_files, "flush", self._sync)

    def _sync(self, _: int) -> None:
        self.goes.wait(30)
        self.n_syncs += 1
        self.threads.add(threading.get_ident())


async def test_answers_of_one_time_share_a_sync(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred answers that end during a sync wait for one more sync together, off the event loop."""
    ledger, disk = FileUsageLedger(folder, wait_s=30), Disk(monkeypatch)
    ledger.write(spent())
    await ledger.wait_synced()
    disk.n_syncs, before = 0, disk.threads.copy()
    disk.goes.clear()
    waiting = []
    for _ in range(100):
        ledger.write(spent())
        waiting.append(asyncio.create_task(ledger.wait_synced()))
        await asyncio.sleep(0)
    disk.goes.set()
    await asyncio.gather(*waiting)
    assert disk.n_syncs == 2  # the one that was under way, and one for all that came meanwhile
    assert disk.threads == before
    assert threading.get_ident() not in disk.threads
    ledger.close()


async def test_a_slow_disk_holds_an_answer_for_a_moment(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the disk takes longer than 50 ms, the answer ends anyway; its line is written and synced later."""
    ledger, disk = FileUsageLedger(folder), Disk(monkeypatch)
    disk.goes.clear()
    began = time.monotonic()
    ledger.write(spent())
    await ledger.wait_synced()
    assert 0.04 < time.monotonic() - began < 5
    disk.goes.set()
    await ledger.wait_synced()
    assert disk.n_syncs >= 2
    ledger.close()


def _inodes(folder: Path) -> set[int]:
    return {path.stat().st_ino for path in folder.iterdir() if path.suffix != ".db"}


async def test_a_turned_page_is_synced_too(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last lines of a replaced file are synced before their answers end."""
    synced: list[int] = []
    ledger = FileUsageLedger(folder, max_bytes=300, wait_s=30)
    monkeypatch.setattr(durable_files, "flush", lambda file: synced.append(os.fstat(file).st_ino))
    for _ in range(5):
        ledger.write(spent())
    files = _inodes(folder)
    assert len(files) > 1
    await ledger.wait_synced()
    assert files | _inodes(folder.parent) <= set(synced)
    ledger.close()


async def test_a_disk_that_fails_is_logged(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An error during a sync is logged and does not affect the answer, whose line is written."""
    ledger = FileUsageLedger(folder, wait_s=30)

    def failing(_: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(durable_files, "flush", failing)
        ledger.write(spent())
        await ledger.wait_synced()
    assert "Input/output error" in caplog.text
    await ledger.wait_synced()
    ledger.close()


async def test_a_page_that_is_turned_during_a_sync_is_synced_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A file that is replaced during a sync is closed by it and not used again."""
    ledger = FileUsageLedger(folder, max_bytes=300, wait_s=30)
    flushed: list[int] = []

    def write_until(n_files: int) -> None:
        while len(list(folder.iterdir())) < n_files:
            ledger.write(spent())

    def flush(file: int) -> None:
        write_until(3)  # as the event loop may meanwhile
        flushed.append(os.fstat(file).st_ino)

    write_until(2)
    files = _inodes(folder)
    monkeypatch.setattr(durable_files, "flush", flush)
    await ledger.wait_synced()
    assert files <= set(flushed)
    assert "could not be brought" not in caplog.text
    ledger.close()
