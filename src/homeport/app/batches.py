"""The batches that a server runs in the background, built for it. Knows nothing of settings."""

import asyncio
from pathlib import Path

from homeport.api.metrics import Metrics
from homeport.domain.ports.batches import RequestDispatcher
from homeport.domain.ports.serving import Serving
from homeport.domain.ports.store import BatchRepository, FileRepository
from homeport.serving.background_loops import BackgroundLoops
from homeport.serving.batches.runner import BatchRunner


class BatchService:
    """The batch runner of one server. It starts once the application exists, which answers the batches' requests."""

    def __init__(
        self,
        serving: Serving,
        repository: BatchRepository,
        files: FileRepository,
        spool: Path,
        loops: BackgroundLoops,
    ) -> None:
        self._serving = serving
        self._repository = repository
        self._files = files
        self._spool = spool
        self._loops = loops
        self._task: asyncio.Task[None] | None = None

    def start(self, dispatch: RequestDispatcher, metrics: Metrics) -> None:
        """Start to run batches; `dispatch` answers their requests."""
        idle_gate = self._serving.idle_gate
        runner = BatchRunner(self._repository, self._files, dispatch, idle_gate, self._spool, self._loops)
        metrics.gauge("batches_running", "Batches that are running.", lambda: runner.running)
        metrics.gauge("batch_lines_waiting", "Lines of running batches without a result.", lambda: runner.lines_left)
        metrics.gauge(
            "batches_resting",
            "Whether batches pause because a caller waits.",
            lambda: not idle_gate.is_open,
        )
        self._task = asyncio.create_task(runner.run())

    async def stop(self) -> None:
        """Stop running batches; the next start resumes them. Safe to call twice."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
