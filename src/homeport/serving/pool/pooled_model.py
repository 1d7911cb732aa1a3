"""One model in the pool: its worker, its leases, its size, and its state as operators see it."""

import asyncio
from collections.abc import Callable

import psutil

from homeport.domain.models import EngineStats, InstalledModel
from homeport.domain.operations import WorkerReport
from homeport.serving.pool.eviction import EvictionCandidate
from homeport.serving.pool.leases import LeaseCounter
from homeport.serving.workers.supervisor import WorkerSupervisor


class PooledModel:
    """A model that is in memory or being loaded. `size_bytes`: the larger of the estimate and the measured size.

    `measured_bytes`: the resident memory of its worker when it was last measured.
    """

    def __init__(
        self, model: InstalledModel, supervisor: WorkerSupervisor, size_bytes: int, on_free: Callable[[], None]
    ) -> None:
        self.name = model.facts.name
        self.digest = model.digest
        self.supervisor = supervisor
        self.size_bytes = size_bytes
        self.measured_bytes = 0
        self.leases = LeaseCounter(on_free)
        self.is_leaving = False  # accepts no new leases; waiters continue when it is gone or stays
        self.opening: asyncio.Task[None] | None = None
        self.ending: asyncio.Task[None] | None = None

    @property
    def eviction_candidate(self) -> EvictionCandidate:
        """This model as the eviction policy sees it."""
        return EvictionCandidate(self.name, self.size_bytes, self.leases.count, self.leases.used_at)

    @property
    def report(self) -> WorkerReport:
        """This model as an operator sees it."""
        session = self.supervisor.current
        stats = session.gauges if session else EngineStats()
        return WorkerReport(
            model=self.name,
            pid=session.pid if session else None,
            state="stopping" if self.is_leaving else self.supervisor.phase.value,
            memory_bytes=self.rss_bytes(),
            running=stats.running,
            waiting=stats.waiting,
            cells_used=stats.cells_used,
            cells=stats.cells,
            window=(session.loaded.window or 0) if session else 0,
            kernels=session.loaded.kernels if session else "",
            prompts=stats.prompts,
            device=session.loaded.device if session else "",
            device_bytes=stats.device_bytes,
            idle_s=self.leases.idle_s,
            restarts=self.supervisor.restarts,
            reason=self.supervisor.reason,
        )

    def measure(self) -> None:
        """Measure the worker's memory, and update the size to it if that is larger."""
        self.measured_bytes = self.rss_bytes()
        self.size_bytes = max(self.size_bytes, self.measured_bytes)

    def rss_bytes(self) -> int:
        """Return the resident memory of the worker and its children; 0 if it does not run."""
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
