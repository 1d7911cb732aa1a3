"""What a server does by itself beside answering: its batches. Put together for `app`, which starts and stops it.

Knows nothing of settings or of where anything is kept.
"""

import asyncio
from pathlib import Path

from homeport.api.metrics import Metrics
from homeport.domain.ports.batches import RequestDispatcher
from homeport.domain.ports.store import BatchRepository, FileRepository
from homeport.serving.background_loops import BackgroundLoops
from homeport.serving.batches.runner import BatchRunner
from homeport.serving.local import LocalServing


class BatchService:
    """The jobs of one server; `loops` runs what repeats."""

    def __init__(
        self, serving: LocalServing, book: BatchRepository, files: FileRepository, spool: Path, loops: BackgroundLoops
    ) -> None:
        self._loops = loops
        self._serving = serving
        self._book = book
        self._files = files
        self._spool = spool
        self._work: asyncio.Task[None] | None = None

    def start(self, dispatch: RequestDispatcher, meters: Metrics) -> None:
        """Begin to take jobs up; their requests go through `dispatch`."""
        background = self._serving.background
        desk = BatchRunner(self._book, self._files, dispatch, background, self._spool, self._loops)
        meters.gauge("batches_running", "Batches under way.", lambda: desk.running)
        meters.gauge("batch_lines_waiting", "Lines of these without an outcome.", lambda: desk.lines_left)
        meters.gauge(
            "batches_resting", "Whether batches rest because callers wait.", lambda: not background.gate.is_open
        )
        self._work = asyncio.create_task(desk.run())

    async def stop(self) -> None:
        """Leave what is under way for the next start. Safe to call twice."""
        if self._work is not None:
            self._work.cancel()
            await asyncio.gather(self._work, return_exceptions=True)
