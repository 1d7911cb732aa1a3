"""The latest items in bounded memory, and readers that follow them at any speed."""

import asyncio
import threading
from collections.abc import AsyncGenerator

from homeport.api.recent_items import ItemRange, RecentItems


def test_only_the_latest_items_stay() -> None:
    """Beyond the limit of items the oldest are gone, and a reader sees how many it missed."""
    recent: RecentItems[int] = RecentItems(3)
    for item in range(5):
        recent.append(item)
    assert recent.after() == ItemRange(3, [2, 3, 4], 2)
    assert recent.after(4) == ItemRange(5, [4], 0)
    assert recent.after(5) == ItemRange(6, [], 0)


def test_heavy_items_displace_more() -> None:
    """The weights of all items together stay within their limit, even if one alone is above it."""
    recent: RecentItems[str] = RecentItems(100, max_weight=10)
    for weight in (4, 4, 4):
        recent.append("a", weight)
    assert len(recent.after().items) == 2
    recent.append("b", 11)
    assert recent.after() == ItemRange(5, [], 4)


async def test_a_reader_receives_what_another_thread_adds() -> None:
    """A reader that waits is woken by items of any thread, and receives each once, in order."""
    recent: RecentItems[int] = RecentItems(100)
    reader = recent.follow(0)
    waiting = asyncio.ensure_future(anext(reader))
    await asyncio.sleep(0)
    thread = threading.Thread(target=recent.append, args=(7,))
    thread.start()
    async with asyncio.timeout(10):
        assert (await waiting).items == [7]
    thread.join()
    recent.append(8)
    recent.append(9)
    assert (await anext(reader)).items == [8, 9]
    await reader.aclose()


async def test_a_slow_reader_misses_items() -> None:
    """A reader that is slower than the items receives the latest ones and the number of those it missed."""
    recent: RecentItems[int] = RecentItems(2)
    reader: AsyncGenerator[ItemRange[int], None] = recent.follow(0)
    recent.append(0)
    assert (await anext(reader)).items == [0]
    for item in range(1, 6):
        recent.append(item)
    assert await anext(reader) == ItemRange(5, [4, 5], 3)
    await reader.aclose()


async def test_the_end_ends_readers() -> None:
    """After `close` a reader receives what is left and ends; one that waits ends at once."""
    recent: RecentItems[int] = RecentItems(2)
    waiting = asyncio.ensure_future(anext(recent.follow(0), None))
    await asyncio.sleep(0)
    recent.close()
    async with asyncio.timeout(10):
        assert await waiting is None
    recent.append(1)
    assert [found.items async for found in recent.follow(0)] == [[1]]


async def test_a_reader_that_leaves_is_forgotten() -> None:
    """A reader that is cancelled while it waits does not disturb later items."""
    recent: RecentItems[int] = RecentItems(2)
    waiting = asyncio.ensure_future(anext(recent.follow(0)))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    recent.append(1)
    assert recent.after().items == [1]
