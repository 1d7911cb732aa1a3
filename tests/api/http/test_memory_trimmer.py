"""Memory is returned to the system when the server is idle."""

import asyncio
import platform

import psutil
import pytest

from homeport.api.http.memory_trimmer import MemoryTrimmer, glibc_trim


async def test_it_trims_once_after_work() -> None:
    """Memory is trimmed once, some idle seconds after requests, and again after the next requests."""
    loop, trimmed, kept = asyncio.get_running_loop(), asyncio.Queue[int](), []

    def trim(keep: int) -> int:
        kept.append(keep)
        loop.call_soon_threadsafe(trimmed.put_nowait, keep)
        return 1

    trimmer = MemoryTrimmer(trim)
    looks = [(0, 0, True), (9, 0, True), (10, 5, False), (11, 5, True), (13, 5, True), (13.5, 6, False), (14, 6, True)]
    for now, n_requests, is_idle in looks:
        trimmer.trim_if_idle(now, n_requests, is_idle=is_idle)
    assert not kept
    for now in (17.0, 18.0, 30.0):
        trimmer.trim_if_idle(now, 6, is_idle=True)
    await asyncio.wait_for(trimmed.get(), 10)
    trimmer.trim_if_idle(40, 7, is_idle=True)
    trimmer.trim_if_idle(44, 7, is_idle=True)
    await asyncio.wait_for(trimmed.get(), 10)
    assert kept == [0, 0]


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another allocator")
def test_glibc_returns_freed_memory() -> None:
    """Freed memory below memory in use is returned to the system."""
    trim = glibc_trim()
    assert trim is not None
    process = psutil.Process()
    pieces = [bytes(100_000) for _ in range(2000)]
    kept, size = pieces[::50], process.memory_info().rss
    pieces.clear()
    trim(0)
    assert process.memory_info().rss < size - 100_000_000
    assert len(kept) == 40
