"""One model in the pool: its worker, its leases, its size, and its state as operators see it."""

import asyncio
from collections.abc import Callable

import msgspec
import psutil

from homeport.domain.models import InstalledModel
from homeport.serving.pool.eviction import EvictionCandidate
from homeport.serving.pool.leases import LeaseCounter
from homeport.serving.workers.supervisor import WorkerSupervisor


class WorkerStatus(msgspec.Struct, frozen=True):
    """The state of one model's worker. `reason`: why it ended last; `rss_bytes` includes mapped weights."""

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
    """A model that is in memory or being loaded. `size_bytes`: the larger of the estimate and the measured size."""

    def __init__(
        self, model: InstalledModel, supervisor: WorkerSupervisor, size_bytes: int, on_free: Callable[[], None]
    ) -> None:
        self.name = model.facts.name
        self.digest = model.digest
        self.supervisor = supervisor
        self.size_bytes = size_bytes
        self.leases = LeaseCounter(on_free)
        self.is_leaving = False  # accepts no new leases; waiters continue when it is gone or stays
        self.opening: asyncio.Task[None] | None = None
        self.ending: asyncio.Task[None] | None = None

    @property
    def eviction_candidate(self) -> EvictionCandidate:
        """This model as the eviction policy sees it."""
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
        """Update the size to the worker's memory, if that is larger."""
        self.size_bytes = max(self.size_bytes, self.rss_bytes())

    def rss_bytes(self) -> int:
        """Return the resident memory of the worker and its children; 0 if it does not run."""
        session = self.supervisor.current
        if session is None or session.pid is None:
            return 0
        try:
            worker = psutil.Process(session.pid)
            return sum(_rss_bytes(supervisor) for supervisor in (worker, *worker.children(recursive=True)))
        except psutil.NoSuchProcess:
            return 0


def _rss_bytes(supervisor: psutil.Process) -> int:
    try:
        return int(supervisor.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0
