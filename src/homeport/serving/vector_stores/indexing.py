"""One file of a vector store, indexed from its current state to its end. Knows nothing of which file is next.

However the process ends, the next owner of the file resumes from what is stored: first chunks, then their vectors.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ParamSpec, TypeVar

from homeport.domain.errors import HomeportError, InvalidRequest, NotFound
from homeport.domain.ports.models import ModelRegistry
from homeport.domain.ports.serving import Serving
from homeport.domain.ports.store import FileRepository
from homeport.domain.ports.vector_stores import IndexingQueue, TextExtractor
from homeport.domain.vector_stores import (
    INVALID_FILE,
    SERVER_ERROR,
    UNSUPPORTED_FILE,
    IndexedFile,
    IndexingError,
    StoreFile,
    TextChunk,
    VectorStore,
)
from homeport.serving.vector_stores import chunking
from homeport.serving.vector_stores.completion import CompletedFiles
from homeport.serving.vector_stores.embedding import EmbeddingFailed, StoreEmbedder
from homeport.serving.vector_stores.requests import TEXTS_AT_ONCE, EmbeddingRequests

P = ParamSpec("P")
T = TypeVar("T")

_REQUESTS_OF_FILE = 3
MAX_CHUNKS = 50_000
"""The maximum number of chunks of one file."""
_RETRY_INTERVAL_S = 5.0
_FILE_CODES = (INVALID_FILE, UNSUPPORTED_FILE)

_log = logging.getLogger("homeport.vector_stores")


@dataclass(frozen=True)
class IndexingDeps:
    """What indexing a file needs. `spool`: a folder for copies of files."""

    queue: IndexingQueue
    files: FileRepository
    registry: ModelRegistry
    serving: Serving
    requests: EmbeddingRequests
    extractor: TextExtractor
    spool: Path


class IndexingRun:
    """The indexing of one owned file. Used once."""

    def __init__(
        self, deps: IndexingDeps, owner: str, completed: CompletedFiles, file: StoreFile, store: VectorStore
    ) -> None:
        self._deps = deps
        self._owner = owner
        self._completed = completed
        self._file = file
        self._store = store

    async def run(self) -> None:
        """Index what is left. Raises NotFound if the file is removed, or another process has taken it over."""
        error: IndexingError | None = None
        try:
            embedder = StoreEmbedder(
                self._deps.registry,
                self._deps.serving,
                self._deps.requests,
                self._store,
                self._file,
            )
            if self._file.n_chunks is None and await self._add_chunks(embedder):
                return
            await self._add_vectors(embedder)
        except EmbeddingFailed as failure:
            error = IndexingError(SERVER_ERROR, str(failure))
        except InvalidRequest as failure:
            code = failure.code if failure.code in _FILE_CODES else SERVER_ERROR
            error = IndexingError(code or SERVER_ERROR, failure.message)
        await self._retry_forever(self._deps.queue.finish, self._owner, self._file.seq, error)

    async def _add_chunks(self, embedder: StoreEmbedder) -> bool:
        """Cut the file into chunks and store these; return whether that was all, because the file is short."""
        text = await self._read()
        chunks = await chunking.cut(text, self._file.chunking, embedder.count)
        if len(chunks.texts) > MAX_CHUNKS:
            raise InvalidRequest(f"The file has more than {MAX_CHUNKS} chunks.", code=INVALID_FILE)
        if not chunks.texts:
            raise InvalidRequest("The file has no text that the embeddings model can read.", code=INVALID_FILE)
        owned = (self._owner, self._file.seq)
        if len(chunks.texts) > TEXTS_AT_ONCE:
            await self._retry_forever(self._deps.queue.add_chunks, *owned, chunks.texts, chunks.window)
            return False
        vectors = await embedder.embed(chunks.texts)
        embedded = [
            TextChunk(number=number, text=text, vector=vector)
            for number, (text, vector) in enumerate(zip(chunks.texts, vectors, strict=True))
        ]
        indexed = IndexedFile(seq=self._file.seq, chunks=embedded, window=chunks.window)
        await self._repeat(lambda: self._completed.add(indexed))
        return True

    async def _read(self) -> str:
        """Return the text of the file. Raises InvalidRequest if it has none."""
        path = self._deps.spool / f"document-{self._file.seq}"
        try:
            await self._retry_forever(self._copy, path)
            return await self._deps.extractor.extract(path, self._file.filename)
        finally:
            path.unlink(missing_ok=True)

    def _copy(self, path: Path) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            self._deps.files.copy(self._deps.files.get(self._file.project, self._file.id), path)
        except NotFound as error:
            raise InvalidRequest("The file does not exist.", code=INVALID_FILE) from error

    async def _add_vectors(self, embedder: StoreEmbedder) -> None:
        """Embed the chunks without a vector, several requests at once, and store each answer when it arrives."""
        running: set[asyncio.Task[None]] = set()
        last, is_last = -1, False
        try:
            while running or not is_last:
                while not is_last and len(running) < _REQUESTS_OF_FILE:
                    chunks = await self._retry_forever(
                        self._deps.queue.chunks_without_vector, self._file.seq, TEXTS_AT_ONCE, last
                    )
                    is_last = len(chunks) < TEXTS_AT_ONCE
                    if chunks:
                        last = chunks[-1].number
                        running.add(asyncio.create_task(self._embed(embedder, chunks)))
                if running:
                    done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                    for task in done:
                        task.result()
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def _embed(self, embedder: StoreEmbedder, chunks: Sequence[TextChunk]) -> None:
        vectors = await embedder.embed([chunk.text for chunk in chunks])
        embedded = [
            TextChunk(number=chunk.number, text=chunk.text, vector=vector)
            for chunk, vector in zip(chunks, vectors, strict=True)
        ]
        await self._retry_forever(self._deps.queue.add_vectors, self._owner, self._file.seq, embedded)

    async def _retry_forever(self, action: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Repeat an action on disk or database, in a thread, until it succeeds.

        Raises NotFound if ownership ends, and InvalidRequest.
        """
        return await self._repeat(lambda: asyncio.to_thread(action, *args, **kwargs))

    async def _repeat(self, action: Callable[[], Awaitable[T]]) -> T:
        while True:
            try:
                return await action()
            except (NotFound, InvalidRequest):
                raise
            except (HomeportError, OSError) as error:
                _log.warning("the indexing of %s waits: %s", self._file.id, error)
                await asyncio.sleep(_RETRY_INTERVAL_S)
