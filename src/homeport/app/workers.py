"""What an operator sees of the workers of this machine. Knows nothing of HTTP or terminals."""

from collections.abc import Sequence

from homeport.domain.models import EngineStats
from homeport.domain.operations import WorkerReport
from homeport.serving.local import LocalServing
from homeport.serving.pool.pooled_model import WorkerStatus


class LocalWorkerOperations:
    """What `ps` and `stop` see of the workers. Implements `domain.ports.Operations`."""

    def __init__(self, serving: LocalServing, wait_s: float) -> None:
        self._serving = serving
        self._wait_s = wait_s

    def status(self) -> Sequence[WorkerReport]:
        """How every worker stands now."""
        gauges = self._serving.stats()
        return [
            self._report(status, gauges.get(status.model, EngineStats())) for status in self._serving.worker_status()
        ]

    async def stop(self, model: str) -> bool:
        """Unload a model once its requests have ended, or after `wait_s`."""
        return await self._serving.stop(model, self._wait_s)

    def _report(self, status: WorkerStatus, now: EngineStats) -> WorkerReport:
        loaded = self._serving.loaded(status.model)
        return WorkerReport(
            model=status.model,
            pid=status.pid,
            state=status.state,
            memory_bytes=status.rss_bytes,
            running=now.running,
            waiting=now.waiting,
            cells_used=now.cells_used,
            cells=now.cells,
            window=status.window or 0,
            kernels=loaded.kernels if loaded else "",
            idle_s=status.idle_s,
        )
