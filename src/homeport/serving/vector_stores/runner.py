"""Claims and indexes files of vector stores: the oldest first, several at a time, each owned while it is indexed.

Knows nothing of their texts. Another process with the same database takes over what this one leaves.
"""

import asyncio
import logging
import time
import uuid
from contextlib import suppress
from functools import partial

from homeport.domain.errors import HomeportError, NotFound
from homeport.serving.background_loops import BackgroundLoops
from homeport.serving.vector_stores.completion import CompletedFiles
from homeport.serving.vector_stores.extraction import DocumentProcess
from homeport.serving.vector_stores.indexing import IndexingDeps, IndexingRun

LEASE_S, RENEW_INTERVAL_S = 6.0, 1.0
FILES_AT_ONCE = 32
"""Enough that the model has work while other files are read, counted and stored, most of them short."""
CLAIMED_AT_ONCE = 8
"""Files are claimed together: each transaction costs as much as what it changes."""
DOCUMENTS_KEPT_S = 60.0
"""How long the document process waits for the next file: starting it takes longer than reading most documents."""
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
        self._completed = CompletedFiles(deps.queue, self._owner)
        self._runs: dict[int, asyncio.Task[None]] = {}
        self._is_notified = asyncio.Event()
        self._used_at = 0.0

    @property
    def running(self) -> int:
        """Files that are indexed here."""
        return len(self._runs)

    def notify(self) -> None:
        """Look for files now: some were added."""
        self._is_notified.set()

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
            await self._completed.close()
            await self._documents.close()

    async def _claim_all(self) -> None:
        """Claim all that there is room for, then wait until a file is done or was added, or for a short time."""
        self._is_notified.clear()
        while len(self._runs) < FILES_AT_ONCE and await self._claim(FILES_AT_ONCE - len(self._runs)):
            pass
        if self._runs:
            self._used_at = time.monotonic()
        elif time.monotonic() - self._used_at >= DOCUMENTS_KEPT_S:
            await self._documents.close()  # frees its memory until there is something to read
        with suppress(TimeoutError):
            async with asyncio.timeout(_POLL_INTERVAL_S):
                await self._is_notified.wait()

    async def _claim(self, limit: int) -> bool:
        """Claim at most `limit` files; return whether there were any that do not run here yet."""
        claimed = await asyncio.to_thread(self._deps.queue.claim, self._owner, LEASE_S, min(limit, CLAIMED_AT_ONCE))
        fresh = [each for each in claimed if each[0].seq not in self._runs]
        for file, store in fresh:  # the others were not renewed in time, and still run here
            run = IndexingRun(self._deps, self._owner, self._completed, file, store)
            task = asyncio.create_task(self._index(run, file.seq))
            self._runs[file.seq] = task
            task.add_done_callback(partial(self._remove, file.seq))
        return bool(fresh)

    def _remove(self, seq: int, _: object) -> None:
        del self._runs[seq]
        if len(self._runs) <= FILES_AT_ONCE - CLAIMED_AT_ONCE:
            self.notify()

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
