"""Files indexed to their end, whatever happens meanwhile; the embeddings model is a script."""

import asyncio
import base64
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from homeport.domain.batches import DispatchedResponse
from homeport.domain.embeddings import EmbeddingRequest
from homeport.domain.errors import StorageFull
from homeport.domain.events import Admitted, Done, TokenCounts, Usage
from homeport.domain.files import NewFile
from homeport.domain.models import InstalledModel
from homeport.domain.text import TextPrompt
from homeport.domain.vector_stores import Chunking, NewStoreFile, NewVectorStore, StoreFile, VectorStore
from homeport.domain.worker_messages import EngineRequest
from homeport.serving.background_loops import BackgroundLoops
from homeport.serving.vector_stores import embedding, indexing, runner
from homeport.serving.vector_stores.extraction import DocumentProcess
from homeport.serving.vector_stores.indexing import CHUNKS_AT_ONCE, IndexingDeps
from homeport.serving.vector_stores.runner import IndexingRunner
from homeport.store import migration
from homeport.store.blobs import BlobStore
from homeport.store.database import Database
from homeport.store.files import SqlFileRepository
from homeport.store.indexing_queue import SqlIndexingQueue
from homeport.store.project_storage import SqlProjectStorage
from homeport.store.vector_store_files import SqlStoreFileRepository
from homeport.store.vector_stores import SqlVectorStoreRepository
from tests.api.fakes import FakeRegistry, FakeServing, Script, installed
from tests.serving.conftest import until

PROJECT = "one"
MOST = 100
LINES = [f"Line {at} of the document has some words." for at in range(100)]
LONG = "\n".join(LINES)


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
        self.embedded: Counter[str] = Counter()
        self.going = asyncio.Event()
        self.going.set()
        new = NewVectorStore(project=PROJECT, name="", model="e5", digest="sha256:e5")
        self.store = self.stores.create(new).id

    async def __call__(self, project: str, key: str, path: str, body: bytes) -> DispatchedResponse:
        """Implement the port RequestDispatcher."""
        asked = json.loads(body)
        self.asked.append((project, key, path, asked["model"]))
        await self.going.wait()
        answered = self.answer(asked)
        if answered.status == 200:
            self.embedded.update(asked["input"])
        return answered

    def add(self, text: str | bytes, name: str = "a.txt", **fields: Any) -> str:
        """Add a file to the store; return its id."""
        path = self.folder / "upload"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        file = self.uploads.create(NewFile(project=PROJECT, purpose="assistants", filename=name), path)
        self.files.add(PROJECT, self.store, NewStoreFile(file_id=file.id, filename=name, **fields), "key_1")
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
        permits = asyncio.Semaphore(4)
        registry, spool = FakeRegistry(self.models), self.folder / "spool"
        deps = IndexingDeps(self.queue, self.uploads, registry, CountingServing(), self, documents, permits, spool)
        made = IndexingRunner(deps, documents, BackgroundLoops(first_s=0.0, limit_s=0.0))
        work = asyncio.create_task(made.run())
        try:
            yield made
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)

    async def ended(self, file_id: str) -> StoreFile:
        """Wait until a file has ended, and return it."""
        await until(lambda: self.shown(file_id).status != "in_progress")
        return self.shown(file_id)


@pytest.fixture
def setup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[IndexingFixture]:
    for module in (embedding, indexing):
        monkeypatch.setattr(module, "_RETRY_INTERVAL_S", 0.0)
    monkeypatch.setattr(runner, "_RETRY_INTERVAL_S", 0.0)
    made = IndexingFixture(tmp_path)
    yield made
    made.database.close()


async def test_a_file_is_cut_and_embedded(setup: IndexingFixture) -> None:
    """Each chunk is embedded once, as the project and the key that added the file, and the file is completed."""
    file_id = setup.add(LONG, chunking=Chunking(100, 0))
    async with setup.running_runner():
        file = await setup.ended(file_id)
    texts = setup.files.texts(PROJECT, setup.store, file_id)
    assert (file.status, file.error, file.n_chunks, file.window) == ("completed", None, len(texts), None)
    assert "\n".join(texts) == LONG
    assert setup.embedded == Counter(texts)
    assert set(setup.asked) == {(PROJECT, "key_1", "/v1/embeddings", "e5")}
    assert (setup.store_now().counts.completed, setup.store_now().revision) == (1, 1)
    assert list((setup.folder / "spool").iterdir()) == []


async def test_the_models_window_is_said(setup: IndexingFixture) -> None:
    """Chunks larger than the model's window are smaller instead, and the file says so."""
    file_id = setup.add(LONG, chunking=Chunking(4096, 2048))
    async with setup.running_runner():
        file = await setup.ended(file_id)
    assert file.window == MOST
    assert all(len(text.split()) <= MOST for text in setup.files.texts(PROJECT, setup.store, file_id))


async def test_several_files_are_indexed_at_once(setup: IndexingFixture) -> None:
    """While one file waits for the model, others are read; all are completed."""
    ids = [setup.add(f"Text {at}.") for at in range(12)]
    setup.going.clear()
    async with setup.running_runner() as running:
        await until(lambda: len(setup.asked) > 1)
        assert running.running == runner.FILES_AT_ONCE
        setup.going.set()
        assert {(await setup.ended(file_id)).status for file_id in ids} == {"completed"}


@pytest.mark.parametrize(
    ("content", "code"), [(b"", "invalid_file"), (b"\x00\x01", "unsupported_file"), (b"%PDF-1.7 x", "invalid_file")]
)
async def test_a_file_without_text_fails_alone(setup: IndexingFixture, content: bytes, code: str) -> None:
    """A file that cannot be read has failed with OpenAI's code, and the others are completed."""
    bad, good = setup.add(content), setup.add("Good text.")
    async with setup.running_runner():
        failed = await setup.ended(bad)
        assert (await setup.ended(good)).status == "completed"
    assert failed.status == "failed"
    assert failed.error is not None
    assert failed.error.code == code


async def test_a_restart_continues(setup: IndexingFixture) -> None:
    """A runner that stops in the middle leaves what is embedded to the next one: no chunk is lost or stored twice."""
    file_id = setup.add(LONG * 8, chunking=Chunking(100, 0))

    def stop(body: dict[str, Any]) -> DispatchedResponse:
        setup.going.clear()
        return vectors(body)

    setup.answer = stop
    async with setup.running_runner():
        await until(lambda: setup.embedded and setup.shown(file_id).bytes)
        await until(lambda: len(setup.queue.chunks_without_vector(setup.shown(file_id).seq, 1000)) < 60)
    assert setup.shown(file_id).status == "in_progress"
    first = setup.embedded.copy()
    setup.embedded.clear()
    setup.answer = vectors
    setup.going.set()
    async with setup.running_runner():
        assert (await setup.ended(file_id)).status == "completed"
    texts = Counter(setup.files.texts(PROJECT, setup.store, file_id))
    assert 0 < first.total() < texts.total()
    assert setup.embedded.total() + first.total() <= texts.total() + 3 * CHUNKS_AT_ONCE
    assert setup.embedded + first >= texts


async def test_a_busy_server_is_waited_for(setup: IndexingFixture) -> None:
    """Requests that are refused for now are sent again, also more often than those that fail."""
    answers = [error(429, retry_after_s=0.0)] * (embedding.MAX_ATTEMPTS + 2) + [error(503), error(500)]
    setup.answer = lambda body: answers.pop(0) if answers else vectors(body)
    file_id = setup.add("Text.")
    async with setup.running_runner():
        assert (await setup.ended(file_id)).status == "completed"
    assert answers == []


@pytest.mark.parametrize(
    "answer", [error(403, "Not yours."), error(429, "Not yours.", "insufficient_quota"), error(500, "Not yours.")]
)
async def test_a_model_that_refuses_fails_the_file(setup: IndexingFixture, answer: DispatchedResponse) -> None:
    """If the key may not use the model, has used up its budget, or the server fails again and again, the file fails."""
    setup.answer = lambda _: answer
    file_id = setup.add("Text.")
    async with setup.running_runner():
        failed = await setup.ended(file_id)
    assert failed.error is not None
    assert (failed.error.code, failed.error.message) == ("server_error", "Not yours.")
    assert setup.files.texts(PROJECT, setup.store, file_id) == []


async def test_another_model_is_not_mixed_in(setup: IndexingFixture) -> None:
    """A file is not embedded by other weights than the store's, and says which model made the store."""
    setup.models = [installed("tiny")]
    file_id = setup.add("Text.")
    async with setup.running_runner():
        failed = await setup.ended(file_id)
    assert failed.error is not None
    assert "`e5`" in failed.error.message
    assert setup.asked == []


async def test_a_removed_file_is_not_indexed_further(setup: IndexingFixture) -> None:
    """A file that is removed while it is indexed ends there, and the runner goes on."""
    file_id = setup.add(LONG)
    setup.going.clear()
    async with setup.running_runner() as running:
        await until(lambda: setup.asked)
        setup.files.delete(PROJECT, setup.store, file_id)
        await until(lambda: running.running == 0)
        setup.going.set()
        assert (await setup.ended(setup.add("More."))).status == "completed"
    assert setup.store_now().counts.total == 1


async def test_a_deleted_upload_fails_its_file(setup: IndexingFixture) -> None:
    """If the content is gone before it was read, the file leaves the store, as every deleted file does."""
    file_id = setup.add("Text.")
    setup.uploads.delete(PROJECT, file_id)
    async with setup.running_runner():
        assert (await setup.ended(setup.add("More."))).status == "completed"
    assert setup.store_now().counts.total == 1


async def test_a_full_disk_is_waited_for(setup: IndexingFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """If nothing can be written, indexing waits and goes on when there is room."""
    add_vectors = setup.queue.add_vectors
    failures = [StorageFull("full"), StorageFull("full")]

    def failing(*args: Any) -> None:
        if failures:
            raise failures.pop()
        add_vectors(*args)

    monkeypatch.setattr(setup.queue, "add_vectors", failing)
    file_id = setup.add("Text.")
    async with setup.running_runner():
        assert (await setup.ended(file_id)).status == "completed"
    assert failures == []


async def test_a_project_over_its_limit_fails_the_file(setup: IndexingFixture) -> None:
    """A file whose chunks exceed the project's storage limit has failed and says so."""
    setup.queue._storage = SqlProjectStorage(setup.database, 100)
    file_id = setup.add(LONG)
    async with setup.running_runner():
        failed = await setup.ended(file_id)
    assert failed.error is not None
    assert (failed.error.code, "Storage limit" in failed.error.message) == ("server_error", True)
