"""Stores indexed files, those that are completed at about the same time in one transaction.

While one transaction runs, the next files wait, and share the one after it. Knows nothing of what is stored.
"""

import asyncio
from collections.abc import Sequence

from homeport.domain.ports.vector_stores import IndexingQueue
from homeport.domain.vector_stores import IndexedFile


class CompletedFiles:
    """The files that `owner` completes in a queue. On one event loop."""

    def __init__(self, queue: IndexingQueue, owner: str) -> None:
        self._queue = queue
        self._owner = owner
        self._waiting: list[tuple[IndexedFile, asyncio.Future[None]]] = []
        self._work: asyncio.Task[None] | None = None

    async def add(self, file: IndexedFile) -> None:
        """Store a file. Raises what its own row is refused for, and what the transaction raises."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((file, done))
        if self._work is None:
            self._work = asyncio.create_task(self._store_all())
        await done

    async def close(self) -> None:
        """Wait until what has begun is stored."""
        if self._work is not None:
            await asyncio.gather(self._work, return_exceptions=True)

    async def _store_all(self) -> None:
        try:
            while self._waiting:
                waiting, self._waiting = self._waiting, []
                wanted = [(file, done) for file, done in waiting if not done.done()]
                outcomes = await self._store([file for file, _ in wanted])
                for (_, done), error in zip(wanted, outcomes, strict=True):
                    _settle(done, error)
        finally:
            self._work = None

    async def _store(self, files: Sequence[IndexedFile]) -> Sequence[Exception | None]:
        """Store files together; if that fails as a whole, each alone."""
        try:
            return await asyncio.to_thread(self._queue.add_complete, self._owner, files)
        except Exception as error:
            if len(files) == 1:
                return [error]
        return [(await self._store([file]))[0] for file in files]


def _settle(done: "asyncio.Future[None]", error: Exception | None) -> None:
    if done.done():
        return
    if error is None:
        done.set_result(None)
    else:
        done.set_exception(error)
