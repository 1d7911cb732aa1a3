"""Servers on one database: several gateways share PostgreSQL, and one server has SQLite for itself."""

import asyncio
import shutil
import threading
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path

import pytest

from homeport.app.gateways import SharedGateway
from homeport.app.storage import Storage, database_url
from homeport.domain.errors import RateLimited, Unavailable
from homeport.domain.images import ImageFormat
from homeport.domain.keys import KeyChanges, KeyLimits, LimitChanges, NewKey
from homeport.domain.usage import UsageQuery, UsageRecord
from homeport.serving.background_loops import BackgroundLoops
from homeport.settings import Settings
from homeport.store import migration
from homeport.store.database import Database
from homeport.store.gateways import ALIVE_S
from tests.postgres_server import new_database
from tests.postgres_server import postgres as postgres
from tests.serving.conftest import until

N_THREADS = 8
REVOKED_S = 2.0
"""The time within which every gateway knows that a key is revoked."""


@pytest.fixture
def url(postgres: str) -> Iterator[str]:
    """The URL of a PostgreSQL database with the current tables."""
    with new_database(postgres) as url:
        database = Database(url)
        migration.upgrade(database)
        database.close()
        yield url


async def threads_are_free() -> None:
    """Wait until no thread works for a loop that was stopped: it would return its connection to a closed database."""
    barrier = threading.Barrier(N_THREADS)
    await asyncio.gather(*(asyncio.to_thread(barrier.wait) for _ in range(N_THREADS)))


@pytest.fixture(autouse=True)
async def threads() -> None:
    """Give the event loop as many threads as `threads_are_free` waits for."""
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(N_THREADS))


class Server:
    """The storage of one server, with its loops."""

    def __init__(self, settings: Settings) -> None:
        self.storage = Storage(settings)
        self.loops = BackgroundLoops()
        self._has_ended = False

    async def kill(self) -> None:
        """End without importing usage. The lock of its ledger is free, as after the end of a process."""
        self._has_ended = True
        await self.loops.stop()
        await threads_are_free()
        self.storage.usage_ledger.close()
        await asyncio.to_thread(self.storage.gateway.close)
        self.storage.database.close()

    async def close(self) -> None:
        """Stop in the order of a server, unless it was killed."""
        if self._has_ended:
            return
        self._has_ended = True
        await self.storage.flush()
        await self.loops.stop()
        await threads_are_free()
        await asyncio.to_thread(self.storage.close)


def settings(folder: Path, url: str, number: int) -> Settings:
    """Return the settings of one of several gateways: a home of its own with the secret of the first, common files."""
    home, first = folder / f"home-{number}", folder / "home-0"
    home.mkdir(exist_ok=True)
    if number and not (home / "key-secret").exists():
        shutil.copy(first / "key-secret", home / "key-secret")
    return Settings(home=home, database_url=url, blobs=str(folder / "blobs"), port=8080 + number)


@asynccontextmanager
async def servers(folder: Path, url: str, n: int) -> AsyncIterator[Sequence[Server]]:
    """Run several gateways."""
    started: list[Server] = []
    try:
        for number in range(n):
            started.append(Server(settings(folder, url, number)))
            started[-1].storage.start(started[-1].loops)
        yield started
    finally:
        for server in started:
            await server.close()


def record(request: str, tokens: int, key: str = "key_1") -> UsageRecord:
    return UsageRecord(
        at=int(time.time()),
        request=request,
        project="p",
        model="m",
        endpoint="completions",
        key=key,
        prompt_tokens=tokens,
        completion_tokens=1,
    )


async def test_keys_and_limits_reach_every_gateway_within_two_seconds(tmp_path: Path, url: str) -> None:
    """A key that one gateway creates, limits and revokes is known, limited and refused on all, each within 2 s."""
    async with servers(tmp_path, url, 3) as three:
        keys = three[0].storage.keys
        issued = await asyncio.to_thread(keys.create, NewKey(name="bot"))
        caches = [server.storage.key_cache for server in three]
        began = time.monotonic()
        await until(lambda: all(cache.find(issued.secret) is not None for cache in caches))
        assert time.monotonic() - began < REVOKED_S
        began = time.monotonic()
        limits = LimitChanges(concurrent_requests=2)
        await asyncio.to_thread(keys.update, issued.key.id, KeyChanges(limits=limits))
        limited = KeyLimits(concurrent_requests=2)
        await until(lambda: all((found := cache.find(issued.secret)) and found.limits == limited for cache in caches))
        assert time.monotonic() - began < REVOKED_S
        running = 0
        for server in three:
            key = server.storage.key_cache.find(issued.secret)
            assert key is not None
            with suppress(RateLimited):
                await server.storage.gateway.limiter.request_ticket(key).acquire()
                running += 1
        assert running == 2
        began = time.monotonic()
        await asyncio.to_thread(keys.revoke, issued.key.id)
        await until(lambda: not any(cache.find(issued.secret) for cache in caches))
        assert time.monotonic() - began < REVOKED_S


async def test_a_stopped_gateway_gives_its_places_back_within_a_second(tmp_path: Path, url: str) -> None:
    """What a gateway holds is free when others have noticed that it has left, long before it would count as dead."""
    async with servers(tmp_path, url, 2) as (one, two):
        issued = await asyncio.to_thread(
            one.storage.keys.create, NewKey(name="bot", limits=KeyLimits(concurrent_requests=1))
        )
        await one.storage.gateway.limiter.request_ticket(issued.key).acquire()
        with pytest.raises(RateLimited):
            await two.storage.gateway.limiter.request_ticket(issued.key).acquire()
        began = time.monotonic()
        await one.kill()
        gateways = two.storage.gateway
        assert isinstance(gateways, SharedGateway)
        await until(lambda: len(gateways.seen()) == 1)
        await gateways.limiter.request_ticket(issued.key).acquire()
        assert time.monotonic() - began < ALIVE_S


async def test_usage_is_the_sum_of_all_gateways(tmp_path: Path, url: str) -> None:
    """Each record of each gateway is in the database once, those of a killed one after its next start."""
    query = UsageQuery(since=0)
    async with servers(tmp_path, url, 3) as three:
        for at in range(60):
            three[at % 3].storage.usage_ledger.write(record(f"r{at}", 10))
        await asyncio.gather(*(asyncio.to_thread(each.storage.usage.import_ledgers) for each in three))
        [total] = three[0].storage.usage.sum_usage(query)
        assert (total.requests, total.prompt_tokens) == (60, 600)
        killed = settings(tmp_path, url, 2)
        three[2].storage.usage_ledger.write(record("last", 7))
        await three[2].kill()
        again = Server(killed)
        [total] = three[0].storage.usage.sum_usage(query)
        assert (total.requests, total.prompt_tokens) == (61, 607)
        used = await three[0].storage.gateway.limiter.read_tokens_used("key_1")
        assert used.day == 607 + 61  # what its limits did not have was counted at its start
        again.storage.start(again.loops)
        await again.close()


async def test_periodic_work_is_done_by_one_gateway(tmp_path: Path, url: str) -> None:
    """Of the gateways one sweeps, and keeps sweeping; each kind of work has its own."""
    done: list[tuple[int, str]] = []
    async with servers(tmp_path, url, 3) as three:
        for _ in range(2):
            for number, server in enumerate(three):
                await server.storage.gateway.for_all("sweep", partial(done.append, (number, "sweep")))()
    assert done == [(0, "sweep")] * 2


async def test_images_are_found_on_every_gateway(tmp_path: Path, url: str) -> None:
    """An image's URL works wherever it is asked for."""
    async with servers(tmp_path, url, 2) as (one, two):
        name = await asyncio.to_thread(one.storage.images.save, b"data", ImageFormat.PNG, "p")
        assert await asyncio.to_thread(two.storage.images.find, name) == b"data"


async def test_a_gateway_with_other_files_or_keys_is_refused(tmp_path: Path, url: str) -> None:
    """Its start fails with the name of the other gateway and what to do, and disturbs nothing."""
    async with servers(tmp_path, url, 1):
        good = settings(tmp_path, url, 1)
        other_files = Settings(home=good.home, database_url=url)
        with pytest.raises(Unavailable, match=r":8080 .* stores files elsewhere than in .*home-1.*HOMEPORT_BLOBS"):
            await asyncio.to_thread(Storage, other_files)
        other_keys = Settings(home=tmp_path / "fresh", database_url=url, blobs=good.blobs)
        with pytest.raises(Unavailable, match=r":8080 .* another secret of keys: copy the file `key-secret`"):
            await asyncio.to_thread(Storage, other_keys)
        storage = await asyncio.to_thread(Storage, good)
        await asyncio.to_thread(storage.close)


async def test_sqlite_is_for_one_server(tmp_path: Path) -> None:
    """A second server on the same SQLite database is refused by name; when the first has ended, it may start."""
    own = Settings(home=tmp_path)
    first = Server(own)
    first.storage.start(first.loops)
    with pytest.raises(Unavailable, match=r"Another server \(process .*PostgreSQL"):
        await asyncio.to_thread(Storage, own)
    await first.close()
    again = await asyncio.to_thread(Storage, own)
    again.close()
    assert database_url(own).startswith("sqlite:///")
