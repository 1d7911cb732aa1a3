"""Gateways that share accounts of limits on one database, on a clock that a test moves."""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager

from homeport.domain.keys import Key, KeyLimits
from homeport.serving.request_tickets import RequestTicket
from homeport.serving.shared_limits import SharedLimiter
from homeport.store.database import Database
from homeport.store.limit_accounts import SqlLimitAccounts
from tests.fake_clock import FakeClock

NOON = 1_790_000_000 // 86_400 * 86_400 + 43_200.0


class Register:
    """The gateways that run, by their ids, and their common time."""

    def __init__(self) -> None:
        self.alive: set[str] = set()
        self.clock = FakeClock(NOON)


class FakeGateways:
    """The register as one of its gateways sees it; at first it has seen itself alone."""

    def __init__(self, register: Register, id: str) -> None:
        self._register = register
        self.id = id
        register.alive.add(id)

    def now(self) -> float:
        """Return the common time."""
        return self._register.clock.now

    def seen(self) -> Collection[str]:
        """Return what ran a moment ago."""
        return {self.id}

    def read_alive(self) -> Collection[str]:
        """Return what runs now."""
        return set(self._register.alive)


class SharedGateway:
    """One gateway. It runs from `start` to `kill`."""

    def __init__(self, register: Register, database: Database, id: str, patience_s: float = 5.0) -> None:
        self._register = register
        self.id = id
        self.accounts = SqlLimitAccounts(database)
        self.limiter = SharedLimiter(self.accounts, FakeGateways(register, id), patience_s)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start to apply limits."""
        self._task = asyncio.create_task(self.limiter.run())

    async def kill(self) -> None:
        """End without a word: nothing that it holds is given back, and the others notice that it is dead."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            await asyncio.to_thread(self.limiter.close)
        self._register.alive.discard(self.id)

    def ticket(self, key: Key, *, is_background: bool = False) -> RequestTicket:
        """Return the ticket of a request."""
        return self.limiter.request_ticket(key, is_background=is_background)


@asynccontextmanager
async def gateways(url: str, n: int) -> AsyncIterator[tuple[Register, list[SharedGateway]]]:
    """Run gateways on a database that has its tables."""
    register = Register()
    databases = [Database(url, is_durable=False) for _ in range(n)]
    started = [SharedGateway(register, database, f"gateway-{at}") for at, database in enumerate(databases)]
    try:
        for each in started:
            each.start()
        yield register, started
    finally:
        for each in started:
            await each.kill()
        for database in databases:
            database.close()


def key(name: str = "bot", /, **limits: int) -> Key:
    """Return a key with limits."""
    return Key(id=f"key_{name}", project="p", name=name, hint="", created_at=0, limits=KeyLimits(**limits))
