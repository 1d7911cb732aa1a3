"""What a server shares with others on its database: limits, the time, periodic work. Built from the settings.

With SQLite there is one server, and everything is its own. With PostgreSQL there may be several gateways.
"""

import asyncio
import hashlib
import logging
import os
import socket
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Protocol

import homeport
from homeport.domain.errors import HomeportError
from homeport.serving.background_loops import BackgroundLoops, Step
from homeport.serving.rate_limits import RateLimiter
from homeport.serving.request_tickets import RequestLimiter
from homeport.serving.shared_limits import SharedLimiter
from homeport.settings import Settings
from homeport.store.blobs import BlobStore
from homeport.store.database import Database
from homeport.store.database_clock import DatabaseClock
from homeport.store.gateways import RENEW_INTERVAL_S, GatewayInfo, SqlGateways
from homeport.store.limit_accounts import SqlLimitAccounts
from homeport.store.server_lock import ServerLock
from homeport.store.usage import SqlUsageRepository

_COUNT_INTERVAL_S = 1.0
_LEASE_S = 150.0
"""How long the work that one gateway does for all waits for one that was killed: it is done every minute."""

_log = logging.getLogger("homeport.gateways")


class Gateway(Protocol):
    """This server as one of those that use a database."""

    limiter: RequestLimiter

    def start(self, loops: BackgroundLoops) -> None:
        """Start what runs in the background."""
        ...

    def for_all(self, name: str, work: Callable[[], object]) -> Step:
        """Return the step of a loop that does blocking work in a thread, unless another gateway does it for all."""
        ...

    async def flush(self) -> None:
        """Store what is not stored yet, while the loops still run."""
        ...

    def close(self) -> None:
        """Leave the others."""
        ...


class SingleGateway:
    """The only server of a SQLite database, because it has its lock."""

    def __init__(self, lock: ServerLock, usage: SqlUsageRepository) -> None:
        self._lock = lock
        limiter = RateLimiter()
        for key, of_day, of_month in usage.tokens_by_key():
            limiter.seed(key, of_day, of_month)
        self.limiter: RequestLimiter = limiter

    def start(self, loops: BackgroundLoops) -> None:
        """Nothing runs in the background."""

    def for_all(self, name: str, work: Callable[[], object]) -> Step:  # noqa: ARG002 - there is no other one
        """Return the step that does the work in a thread."""
        return partial(asyncio.to_thread, work)

    async def flush(self) -> None:
        """Limits are in memory: nothing is stored."""

    def close(self) -> None:
        """Let another server use the database."""
        self._lock.release()


class SharedGateway:
    """One of the gateways of a PostgreSQL database. Raises Unavailable if it cannot be one of them.

    `database_url`: limits have connections of their own.
    """

    def __init__(
        self,
        database: Database,
        clock: DatabaseClock,
        usage: SqlUsageRepository,
        info: GatewayInfo,
        database_url: str,
    ) -> None:
        self._gateways = SqlGateways(database, clock, info)
        self._gateways.register()
        self._limits_database = Database(database_url, is_durable=False)
        self._limits = SharedLimiter(SqlLimitAccounts(self._limits_database), self._gateways)
        self.limiter: RequestLimiter = self._limits
        self._thread = ThreadPoolExecutor(1, "gateway")  # of its own: others must not consider a busy gateway dead
        try:
            self._limits.seed(usage.tokens_by_key())
        except BaseException:
            self.close()
            raise

    def seen(self) -> Collection[str]:
        """Return the ids of the gateways that ran a moment ago, with this one."""
        return self._gateways.seen()

    def start(self, loops: BackgroundLoops) -> None:
        """Start to show that this gateway runs, and to apply limits."""
        loops.start("gateways", self._renew, RENEW_INTERVAL_S, max_pause_s=RENEW_INTERVAL_S)
        loops.start("limits", self._limits.run, 0.0)
        loops.start("limit_counts", self._limits.count, _COUNT_INTERVAL_S)

    def for_all(self, name: str, work: Callable[[], object]) -> Step:
        """Return the step that does the work in a thread if this gateway has its lease, or takes it."""

        def do() -> None:
            if self._gateways.take(name, _LEASE_S):
                work()

        return partial(asyncio.to_thread, do)

    async def flush(self) -> None:
        """Store the limits."""
        await self._limits.flush()

    def close(self) -> None:
        """Leave the others, which have at once what this one held."""
        try:
            self._gateways.remove()
        except HomeportError as error:
            _log.warning("the other gateways notice in some seconds that this one has ended: %s", error)
        self._thread.shutdown()
        self._limits.close()
        self._limits_database.close()

    async def _renew(self) -> None:
        if not await asyncio.get_running_loop().run_in_executor(self._thread, self._gateways.renew):
            _log.warning("the other gateways considered this one dead for a while")
            self._limits.hold_again()


def gateway_info(settings: Settings, secret: bytes, blobs: BlobStore, place: str) -> GatewayInfo:
    """Describe this server to others. `secret`: that of the keys; `place`: where `blobs` are."""
    return GatewayInfo(
        name=f"{socket.gethostname()}:{settings.port} (process {os.getpid()})",
        version=homeport.__version__,
        keys=hashlib.blake2b(b"gateways of one database", key=secret, digest_size=16).hexdigest(),
        blobs=blobs.identity(),
        storage=place,
    )
