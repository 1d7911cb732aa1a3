"""Claims and indexes files of vector stores: the oldest first, several at a time, each owned while it is indexed.

Knows nothing of their texts. Another process with the same database takes over what this one leaves.
"""

import asyncio
import logging
import uuid
from contextlib import suppress

from homeport.domain.errors import HomeportError, NotFound
from homeport.serving.background_loops import BackgroundLoops
from homeport.serving.vector_stores.extraction import DocumentProcess
from homeport.serving.vector_stores.indexing import IndexingDeps, IndexingRun

LEASE_S, RENEW_INTERVAL_S = 6.0, 1.0
FILES_AT_ONCE = 8
"""Enough that the model has work while other files are read."""
_POLL_INTERVAL_S = 0.5
_RETRY_INTERVAL_S = 10.0

_log = logging.getLogger("homeport.vector_stores")


class IndexingRunner:
    """The files that are indexed in this process. `run` it next to the server. `documents`: `deps.extractor`."""

    def __init__(self, deps: IndexingDeps, documents: DocumentProcess, loops: BackgroundLoops) -> None:
        self._deps = deps
        self._documents = documents
        self._loops = loops
        self._owner = uuid.uuid4().hex
        self._runs: dict[int, asyncio.Task[None]] = {}
        self._has_room = asyncio.Event()

    @property
    def running(self) -> int:
        """Files that are indexed here."""
        return len(self._runs)

    async def run(self) -> None:
        """Claim and index files until cancelled; unfinished ones are resumed at the next start."""
        loops = (
            asyncio.create_task(self._loops.run("indexing", self._claim_all, 0.0)),
            asyncio.create_task(
                self._loops.run("indexing_leases", self._renew, RENEW_INTERVAL_S, max_pause_s=RENEW_INTERVAL_S)
            ),
        )
        try:
            await asyncio.gather(*loops)
        finally:
            tasks = (*loops, *self._runs.values())
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._documents.close()

    async def _claim_all(self) -> None:
        """Claim all that there is room for, then wait until a file is done, or for a short time."""
        self._has_room.clear()
        while len(self._runs) < FILES_AT_ONCE and await self._claim():
            pass
        if not self._runs:
            await self._documents.close()  # frees its memory until there is something to read
        with suppress(TimeoutError):
            async with asyncio.timeout(_POLL_INTERVAL_S):
                await self._has_room.wait()

    async def _claim(self) -> bool:
        claimed = await asyncio.to_thread(self._deps.queue.claim, self._owner, LEASE_S)
        if claimed is None:
            return False
        file, store = claimed
        if file.seq in self._runs:  # it was not renewed in time, and still runs here
            return False
        task = asyncio.create_task(self._index(IndexingRun(self._deps, self._owner, file, store), file.seq))
        self._runs[file.seq] = task
        task.add_done_callback(lambda _: self._remove(file.seq))
        return True

    def _remove(self, seq: int) -> None:
        del self._runs[seq]
        self._has_room.set()

    async def _index(self, run: IndexingRun, seq: int) -> None:
        try:
            await run.run()
        except NotFound as error:
            _log.info("a file is not indexed here any more: %s", error)
        except asyncio.CancelledError:
            await self._release(seq)
            raise
        except Exception:
            _log.exception("indexing file %d of a vector store failed and is retried", seq)
            await asyncio.sleep(_RETRY_INTERVAL_S)
            await self._release(seq)

    async def _release(self, seq: int) -> None:
        try:
            await asyncio.shield(asyncio.to_thread(self._deps.queue.release, self._owner, seq))
        except HomeportError as error:
            _log.warning("a file of a vector store stays owned for %g s: %s", LEASE_S, error)

    async def _renew(self) -> None:
        """Extend the ownership of all that runs here, and end what was removed or cancelled."""
        if not self._runs:
            return
        started = set(self._runs)
        owned = set(await asyncio.to_thread(self._deps.queue.renew, self._owner, LEASE_S))
        for seq in started - owned:
            if (task := self._runs.get(seq)) is not None:
                task.cancel()
