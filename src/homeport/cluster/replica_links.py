"""A gateway's links to all replicas that are known, and the choice of one for each request.

Where a model has no replica that takes requests, requests wait here, for a bounded time, and `Replicas` is asked for
one. Knows nothing of admission or of what becomes of a request.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial

from homeport.cluster.replica_connection import ReplicaConnection
from homeport.cluster.replica_session import ReplicaSession
from homeport.cluster.replicas import ReplicaAddress, Replicas
from homeport.cluster.router import Router
from homeport.domain.errors import Unavailable
from homeport.domain.models import InstalledModel
from homeport.domain.worker_messages import EngineRequest
from homeport.serving.options import ServingOptions
from homeport.serving.workers.supervisor import WorkerPhase

WANT_S = 1.0
"""How often a replica is asked for while requests wait for one."""
MISSING_S = 15.0
"""A replica that is no longer known, but takes requests, is used for this much longer: what knows the replicas may have
been restarted, and then it will soon know this one again."""


class ReplicaLinks:
    """One connection to each replica that `replicas` knows. `router` makes the routing policy of one model."""

    def __init__(self, replicas: Replicas, options: ServingOptions, router: Callable[[], Router]) -> None:
        self._replicas = replicas
        self._options = options
        self._new_router = router
        self._routers: dict[str, Router] = {}
        self._connections: dict[str, ReplicaConnection] = {}
        self._by_model: dict[str, list[ReplicaConnection]] = {}
        self._retired: list[ReplicaConnection] = []
        self._waiting: Counter[str] = Counter()
        self._lost: Counter[str] = Counter()
        self._wanted_at: dict[str, float] = {}
        self._unlinked_since: float | None = None
        self._changed = asyncio.Event()  # pulsed

    @property
    def connections(self) -> Sequence[ReplicaConnection]:
        """The connection to every known replica."""
        return tuple(self._connections.values())

    @property
    def is_cut_off(self) -> bool:
        """Whether this gateway has no link to any replica now, and no model can get one.

        That is so if what places replicas is silent, or if replicas have run for `heartbeat_limit_s` that it cannot
        reach. A model that has no replica, or one that loads, is no reason.
        """
        if any(connection.is_linked for connection in self._connections.values()):
            return False
        if not self._replicas.can_place():
            return True
        limit_s = self._options.heartbeat_limit_s
        return self._unlinked_since is not None and time.monotonic() - self._unlinked_since > limit_s

    def of(self, model: str) -> Sequence[ReplicaConnection]:
        """Return the connections to a model's replicas."""
        return self._by_model.get(model, ())

    def waiting(self, model: str) -> int:
        """Return how many requests wait for a replica of a model."""
        return self._waiting[model]

    def lost(self, model: str) -> int:
        """Return how often a link to one of a model's replicas was lost."""
        return self._lost[model]

    async def follow(self) -> None:
        """Wait for a change of what is known, and apply it."""
        await self._replicas.changed()
        self.sync()

    def sync(self) -> None:
        """Connect to replicas that are new, and leave those that are gone once their requests have ended.

        To be called every second too: a replica that is gone may still be used for a while.
        """
        known = {address.replica: address for address in self._replicas.known()}
        for name, connection in tuple(self._connections.items()):
            if not _stays(connection, known.get(name)):
                self._retired.append(self._connections.pop(name))
        for name in sorted(known.keys() - self._connections.keys()):
            on_lost = partial(self._count_lost, known[name].model)
            self._connections[name] = ReplicaConnection(known[name], self._options, self.notify, on_lost)
        self._by_model.clear()
        for connection in self._connections.values():
            self._by_model.setdefault(connection.address.model, []).append(connection)
        self._note_links()
        self._retired = [each for each in self._retired if not each.is_over]
        for connection in self._retired:
            connection.retire()
        self.notify()

    async def session_for(self, model: InstalledModel, request: EngineRequest) -> ReplicaSession:
        """Return a link to a replica that takes requests; wait for one if necessary. Raises Unavailable."""
        if (session := self._choose(model, request)) is not None:
            return session
        name, limit_s = model.facts.name, self._options.load_limit_s
        self._waiting[name] += 1
        try:
            async with asyncio.timeout(limit_s):
                while (session := self._choose(model, request)) is None:
                    await self._want(model)
                    self._check_failure(model)
                    await self._wait_for_change(WANT_S)
                return session
        except TimeoutError as error:
            raise Unavailable(f"{name} had no replica within {limit_s:g} s.", retry_after_s=limit_s) from error
        finally:
            self._waiting[name] -= 1

    def accepting(self, model: str) -> int:
        """Return how many replicas of a model take requests now."""
        return sum(each.accepting_session is not None for each in self.of(model))

    async def wait_until(self, condition: Callable[[], bool]) -> None:
        """Wait until a condition holds; it is checked after every change."""
        while not condition():
            await self._changed.wait()

    def notify(self) -> None:
        """Wake all that wait for a change."""
        self._changed.set()
        self._changed.clear()

    async def close(self, reason: str) -> None:
        """End all links now. Open streams fail with the reason."""
        connections = [*self._connections.values(), *self._retired]
        self._connections.clear()
        self._by_model.clear()
        self._retired.clear()
        await asyncio.gather(*(connection.close(reason) for connection in connections))

    def _choose(self, model: InstalledModel, request: EngineRequest) -> ReplicaSession | None:
        loads: dict[str, int] = {}
        sessions: dict[str, ReplicaSession] = {}
        for connection in self.of(model.facts.name):
            if connection.address.digest == model.digest:
                name, session = connection.address.replica, connection.accepting_session
                loads[name] = session.load if session is not None else 0
                if session is not None:
                    sessions[name] = session
        if not sessions:
            return None
        router = self._routers.get(model.facts.name)
        if router is None:
            router = self._routers[model.facts.name] = self._new_router()
        return sessions[router.choose(request, loads, loads.keys() - sessions.keys())]

    def _note_links(self) -> None:
        """Note since when there have been replicas and no link to any of them."""
        connections = self._connections.values()
        if not connections or any(connection.is_linked for connection in connections):
            self._unlinked_since = None
        elif self._unlinked_since is None:
            self._unlinked_since = time.monotonic()

    def _count_lost(self, model: str) -> None:
        self._lost[model] += 1

    async def _want(self, model: InstalledModel) -> None:
        name, now = model.facts.name, time.monotonic()
        if now - self._wanted_at.get(name, -WANT_S) >= WANT_S:
            self._wanted_at[name] = now
            await self._replicas.want(model)

    def _check_failure(self, model: InstalledModel) -> None:
        """Raise Unavailable if waiting is in vain: no replica can start, or all keep crashing."""
        name = model.facts.name
        if (reason := self._replicas.failure(name)) is not None:
            self._wanted_at.pop(name, None)  # the next request asks again
            raise Unavailable(f"{name} does not load: {reason}", retry_after_s=self._options.restart_backoff_limit_s)
        reports = [each.report for each in self.of(name) if each.address.digest == model.digest]
        if reports and all(report.state == WorkerPhase.PAUSED for report in reports):
            raise Unavailable(
                f"{name} is not running: {reports[0].reason}", retry_after_s=self._options.restart_backoff_limit_s
            )

    async def _wait_for_change(self, limit_s: float) -> None:
        try:
            async with asyncio.timeout(limit_s):
                await self._changed.wait()
        except TimeoutError:
            return


def _stays(connection: ReplicaConnection, known: ReplicaAddress | None) -> bool:
    """Return whether a connection is still that to a known replica, or to one that may soon be known again."""
    if known is not None:
        connection.missing_since = None
        if known.is_same_listener(connection.address):
            connection.address = known
            return True
        return False
    now = time.monotonic()
    if connection.missing_since is None:
        connection.missing_since = now
    return connection.accepting_session is not None and now - connection.missing_since < MISSING_S
