"""A store whose files are indexed by a scripted model, on a database and with a document process of its own."""

import asyncio
import base64
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from homeport.domain.batches import DispatchedResponse
from homeport.domain.embeddings import EmbeddingRequest
from homeport.domain.events import Admitted, Done, TokenCounts, Usage
from homeport.domain.files import NewFile
from homeport.domain.models import InstalledModel
from homeport.domain.text import TextPrompt
from homeport.domain.vector_stores import NewStoreFile, NewVectorStore, StoreFile, VectorStore
from homeport.domain.worker_messages import EngineRequest
from homeport.serving.background_loops import BackgroundLoops
from homeport.serving.vector_stores import runner
from homeport.serving.vector_stores.extraction import DocumentProcess
from homeport.serving.vector_stores.indexing import IndexingDeps
from homeport.serving.vector_stores.requests import EmbeddingRequests
from homeport.serving.vector_stores.runner import IndexingRunner
from homeport.store import migration
from homeport.store.blobs import BlobStore
from homeport.store.database import Database
from homeport.store.files import SqlFileRepository
from homeport.store.indexing_queue import SqlIndexingQueue
from homeport.store.vector_store_files import SqlStoreFileRepository
from homeport.store.vector_stores import SqlVectorStoreRepository
from tests.api.fakes import FakeRegistry, FakeServing, Script, installed
from tests.serving.conftest import until

PROJECT = "one"
MOST = 100


class OpenGate:
    """A gate that is always open. Implements the port IdleGate."""

    is_open = True

    async def wait_open(self) -> None:
        """Return at once."""


class CountingServing(FakeServing):
    """Counts words as tokens."""

    idle_gate = OpenGate()

    def __init__(self) -> None:
        super().__init__(self._count)

    def _count(self, request: EngineRequest) -> Script:
        assert isinstance(request, EmbeddingRequest)
        assert request.counts_only
        texts = [each.text for each in request.inputs if isinstance(each, TextPrompt)]
        return [[Admitted(0)], [TokenCounts(tuple(len(text.split()) for text in texts), MOST)], [Done(Usage())]]


def vectors(body: dict[str, Any]) -> DispatchedResponse:
    """Answer with a vector for each text."""
    data = [{"index": at, "embedding": base64.b64encode(bytes(8)).decode()} for at in range(len(body["input"]))]
    return DispatchedResponse(status=200, request_id="r", body=json.dumps({"data": data[::-1]}).encode())


def error(status: int, message: str = "no", code: str | None = None, **more: Any) -> DispatchedResponse:
    body = json.dumps({"error": {"message": message, "code": code}}).encode()
    return DispatchedResponse(status=status, request_id="r", body=body, code=code, **more)


class IndexingFixture:
    """A store of vectors, a scripted model (`answer`), and runners that come and go."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.database = Database(f"sqlite:///{folder}/homeport.db")
        migration.prepare_database(self.database)
        self.uploads = SqlFileRepository(self.database, BlobStore(str(folder / "blobs")))
        self.stores = SqlVectorStoreRepository(self.database)
        self.files = SqlStoreFileRepository(self.database)
        self.queue = SqlIndexingQueue(self.database)
        self.models: list[InstalledModel] = [installed("e5", ("embeddings",))]
        self.answer: Callable[[dict[str, Any]], DispatchedResponse] = vectors
        self.asked: list[tuple[str, str, str, str]] = []
        self.texts: list[list[str]] = []
        self.requests: EmbeddingRequests | None = None
        self.embedded: Counter[str] = Counter()
        self.going = asyncio.Event()
        self.going.set()
        new = NewVectorStore(project=PROJECT, name="", model="e5", digest="sha256:e5")
        self.store = self.stores.create(new).id

    async def __call__(self, project: str, key: str, path: str, body: bytes) -> DispatchedResponse:
        """Implement the port RequestDispatcher."""
        asked = json.loads(body)
        self.asked.append((project, key, path, asked["model"]))
        self.texts.append(asked["input"])
        await self.going.wait()
        answered = self.answer(asked)
        if answered.status == 200:
            self.embedded.update(asked["input"])
        return answered

    def add(self, text: str | bytes, name: str = "a.txt", key: str = "key_1", **fields: Any) -> str:
        """Add a file to the store; return its id."""
        path = self.folder / "upload"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        file = self.uploads.create(NewFile(project=PROJECT, purpose="assistants", filename=name), path)
        self.files.add(PROJECT, self.store, NewStoreFile(file_id=file.id, filename=name, **fields), key)
        return file.id

    def shown(self, file_id: str) -> StoreFile:
        """Return a file's current state."""
        return self.files.get(PROJECT, self.store, file_id)

    def store_now(self) -> VectorStore:
        """Return the store's current state."""
        return self.stores.get(PROJECT, self.store)

    @asynccontextmanager
    async def running_runner(self) -> AsyncIterator[IndexingRunner]:
        """Run a runner; at the end of the block it stops as in a server that shuts down."""
        documents = DocumentProcess()
        registry, serving, spool = FakeRegistry(self.models), CountingServing(), self.folder / "spool"
        self.requests = EmbeddingRequests(self, serving.idle_gate)
        deps = IndexingDeps(self.queue, self.uploads, registry, serving, self.requests, documents, spool)
        made = IndexingRunner(deps, documents, BackgroundLoops(first_s=0.0, limit_s=0.0))
        work = asyncio.create_task(made.run())
        try:
            yield made
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)

    async def all_wait(self) -> None:
        """Wait until as many files as are indexed at once have no more to do than to wait for their vectors."""
        await until(lambda: self.going_on == runner.FILES_AT_ONCE)

    @property
    def going_on(self) -> int:
        """The number of texts that wait for the scripted model, or for their request."""
        waiting = () if self.requests is None else self.requests._waiting.values()
        return sum(map(len, self.texts)) + sum(len(each.texts) for queue in waiting for each in queue)

    async def ended(self, file_id: str) -> StoreFile:
        """Wait until a file has ended, and return it."""
        await until(lambda: self.shown(file_id).status != "in_progress")
        return self.shown(file_id)
