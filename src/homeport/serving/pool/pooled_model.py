"""One model in the pool: its worker, its users, its size. And what can be told of it to an operator."""

import asyncio
from collections.abc import Callable

import msgspec
import psutil

from homeport.domain.models import InstalledModel
from homeport.serving.pool.eviction import EvictionCandidate
from homeport.serving.pool.leases import LeaseCounter
from homeport.serving.workers.supervisor import WorkerSupervisor


class WorkerStatus(msgspec.Struct, frozen=True):
    """How one model's worker stands. `reason` is what ended it last; `rss_bytes` counts mapped weights too."""

    model: str
    state: str
    pid: int | None
    rss_bytes: int
    users: int
    idle_s: float
    restarts: int
    window: int | None
    reason: str | None


class PooledModel:
    """A model that is in memory or on its way. `size_bytes`: the larger of what was estimated and measured."""

    def __init__(
        self, model: InstalledModel, process: WorkerSupervisor, size_bytes: int, on_free: Callable[[], None]
    ) -> None:
        self.name = model.facts.name
        self.digest = model.digest
        self.supervisor = process
        self.size_bytes = size_bytes
        self.leases = LeaseCounter(on_free)
        self.is_leaving = False  # takes no new users; those that come wait until it is gone or stays
        self.opening: asyncio.Task[None] | None = None
        self.ending: asyncio.Task[None] | None = None

    @property
    def eviction_candidate(self) -> EvictionCandidate:
        """This model as the memory policy sees it."""
        return EvictionCandidate(self.name, self.size_bytes, self.leases.count, self.leases.used_at)

    @property
    def status(self) -> WorkerStatus:
        """This model as an operator sees it."""
        session = self.supervisor.current
        return WorkerStatus(
            model=self.name,
            state="stopping" if self.is_leaving else self.supervisor.phase.value,
            pid=session.pid if session else None,
            rss_bytes=self.rss_bytes(),
            users=self.leases.count,
            idle_s=self.leases.idle_s,
            restarts=self.supervisor.restarts,
            window=session.loaded.window if session else None,
            reason=self.supervisor.reason,
        )

    def measure(self) -> None:
        """Take what the worker really uses into account."""
        self.size_bytes = max(self.size_bytes, self.rss_bytes())

    def rss_bytes(self) -> int:
        """The worker's resident memory now, that of its own children included; 0 where it does not run."""
        session = self.supervisor.current
        if session is None or session.pid is None:
            return 0
        try:
            worker = psutil.Process(session.pid)
            return sum(_rss_bytes(process) for process in (worker, *worker.children(recursive=True)))
        except psutil.NoSuchProcess:
            return 0


def _rss_bytes(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0
