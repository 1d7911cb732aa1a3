"""The indexing of vector stores that a server runs in the background, built for it. Knows nothing of settings."""

import asyncio
from pathlib import Path

from homeport.api.metrics import Metrics
from homeport.domain.ports.batches import RequestDispatcher
from homeport.domain.ports.models import ModelRegistry
from homeport.domain.ports.serving import Serving
from homeport.domain.ports.store import FileRepository
from homeport.domain.ports.vector_stores import IndexingQueue
from homeport.serving.background_loops import BackgroundLoops
from homeport.serving.vector_stores.extraction import DocumentProcess
from homeport.serving.vector_stores.indexing import IndexingDeps
from homeport.serving.vector_stores.requests import EmbeddingRequests
from homeport.serving.vector_stores.runner import IndexingRunner


class IndexingService:
    """The indexing of one server. It starts once the application exists, which answers its requests for vectors."""

    def __init__(
        self,
        serving: Serving,
        registry: ModelRegistry,
        queue: IndexingQueue,
        files: FileRepository,
        spool: Path,
        loops: BackgroundLoops,
    ) -> None:
        self._serving = serving
        self._registry = registry
        self._queue = queue
        self._files = files
        self._spool = spool
        self._loops = loops
        self._runner: IndexingRunner | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self, dispatch: RequestDispatcher, metrics: Metrics) -> None:
        """Start to index files; `dispatch` answers the requests for vectors."""
        documents = DocumentProcess()
        deps = IndexingDeps(
            self._queue,
            self._files,
            self._registry,
            self._serving,
            EmbeddingRequests(dispatch, self._serving.idle_gate),
            documents,
            self._spool,
        )
        runner = self._runner = IndexingRunner(deps, documents, self._loops)
        metrics.gauge("files_indexing", "Files of vector stores that are being indexed.", lambda: runner.running)
        self._task = asyncio.create_task(runner.run())

    def notify(self) -> None:
        """Begin with files that were just added, without waiting until the queue is looked at again."""
        if self._runner is not None:
            self._runner.notify()

    async def stop(self) -> None:
        """Stop indexing; the next start resumes it. Safe to call twice."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
