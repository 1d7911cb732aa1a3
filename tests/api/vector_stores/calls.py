"""An application with vector stores in a database, an embeddings model that is a script, and calls of its endpoints."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from homeport.api.application import build_application
from homeport.domain.embeddings import EmbeddingRequest
from homeport.domain.events import Admitted, Done, EmbeddingVectors, Usage
from homeport.domain.files import NewFile
from homeport.domain.kinds import IMAGE_EMBEDDINGS
from homeport.domain.models import Alias
from homeport.domain.text import TextPrompt
from homeport.domain.words import words_of
from homeport.domain.worker_messages import EngineRequest
from homeport.store import migration
from homeport.store.blobs import BlobStore
from homeport.store.database import Database
from homeport.store.files import SqlFileRepository
from homeport.store.indexing_queue import SqlIndexingQueue
from homeport.store.vector_search import SqlVectorSearch
from homeport.store.vector_store_files import SqlStoreFileRepository
from homeport.store.vector_stores import SqlVectorStoreRepository
from tests.api.asgi import AsgiResponse, call
from tests.api.fakes import FakeRegistry, FakeServing, Script, answer, installed, services

PATH = "/v1/vector_stores"
PROJECT = "local"
DIMENSIONS = 64
NOW = 1_800_000_000


def vector(text: str) -> bytes:
    """Return a vector that is near those of texts with the same words."""
    made = np.full(DIMENSIONS, 0.01, "<f4")
    for word in words_of(text):
        made[sum(word.encode()) % DIMENSIONS] += 1
    return bytes((made / np.linalg.norm(made)).astype("<f4").tobytes())


def embeddings(request: EmbeddingRequest) -> Script:
    """Make the answer of the embeddings model."""
    texts = [each.text for each in request.inputs if isinstance(each, TextPrompt)]
    vectors = EmbeddingVectors(0, len(texts), DIMENSIONS, b"".join(map(vector, texts)))
    return [[Admitted(3)], [vectors], [Done(Usage(3))]]


class StoreServing(FakeServing):
    """Plays the embeddings model, and `text` for every other request."""

    def __init__(self, text: Callable[[EngineRequest], Script] = lambda _: answer("Hello")) -> None:
        super().__init__(lambda each: embeddings(each) if isinstance(each, EmbeddingRequest) else text(each))

    @property
    def embedded(self) -> list[EmbeddingRequest]:
        """The requests of the embeddings model."""
        return [request for _, request in self.requests if isinstance(request, EmbeddingRequest)]


class StoreApp:
    """An application. `now`: the wall clock in seconds; `changes` replace fields of its services."""

    def __init__(self, folder: Path, serving: FakeServing | None = None, **changes: Any) -> None:
        self.folder = folder
        self.now = NOW
        self.database = Database(f"sqlite:///{folder}/homeport.db")
        migration.prepare_database(self.database)
        self.uploads = SqlFileRepository(self.database, BlobStore(str(folder / "blobs")))
        self.stores = SqlVectorStoreRepository(self.database, now=lambda: self.now)
        self.files = SqlStoreFileRepository(self.database, now=lambda: self.now)
        self.queue = SqlIndexingQueue(self.database)
        self.serving = serving or StoreServing()
        embedder = installed("e5", ("embeddings",))
        self.models = [installed("tiny"), embedder, installed("clip", ("embeddings", IMAGE_EMBEDDINGS))]
        given = {
            "registry": FakeRegistry(self.models, [Alias("text-embedding-3-small", "e5")]),
            "files": self.uploads,
            "vector_stores": self.stores,
            "store_files": self.files,
            "vector_search": SqlVectorSearch(self.database, folder / "index"),
            "now": lambda: self.now,
            **changes,
        }
        self.app = build_application(services(self.serving, **given))

    def upload(self, name: str = "a.txt", text: str = "text", project: str = PROJECT) -> str:
        """Store a file; return its id."""
        path = self.folder / "upload"
        path.write_text(text)
        return self.uploads.create(NewFile(project=project, purpose="assistants", filename=name), path).id

    def index_all(self) -> None:
        """Index all files, each as the sentences of its name's first part."""
        while claimed := self.queue.claim("me", 5.0):
            ((file, _),) = claimed
            texts = file.filename.rsplit(".", 1)[0].split("|")
            self.queue.add_chunks("me", file.seq, texts, None)
            chunks = self.queue.chunks_without_vector(file.seq, 100)
            done = [msgspec.structs.replace(chunk, vector=vector(chunk.text)) for chunk in chunks]
            self.queue.add_vectors("me", file.seq, done)
            self.queue.finish("me", file.seq)

    async def send(self, method: str, path: str, body: Any = None) -> AsgiResponse:
        """Send a request whose body is JSON. `path` begins after that of vector stores, or with a slash and `v1`."""
        whole = path if path.startswith("/v1") else f"{PATH}{path}"
        return await call(self.app, method, whole, b"" if body is None else json.dumps(body).encode())

    async def get(self, path: str) -> dict[str, Any]:
        """Send a GET request, which must succeed; return its JSON."""
        return self._json(await self.send("GET", path))

    async def post(self, path: str, **body: Any) -> dict[str, Any]:
        """Send a POST request, which must succeed; return its JSON."""
        return self._json(await self.send("POST", path, body))

    async def store_of(self, *names: str) -> str:
        """Create a store with files of these names, and index them; return its id."""
        created = await self.post("", file_ids=[self.upload(name) for name in names])
        self.index_all()
        return str(created["id"])

    def _json(self, response: AsgiResponse) -> dict[str, Any]:
        assert response.status == 200, response.body
        found: dict[str, Any] = response.json
        return found
