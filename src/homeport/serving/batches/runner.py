"""Where batches are taken up: the oldest first, several side by side, each owned while it is worked on.

Knows nothing of their lines. Another process with the same database takes over what this one leaves.
"""

import asyncio
import itertools
import logging
import time
import uuid
from collections.abc import Callable
from functools import partial
from pathlib import Path

from homeport.domain.errors import HomeportError, NotFound
from homeport.domain.ports.batches import IdleGate, RequestDispatcher
from homeport.domain.ports.store import BatchRepository, FileRepository
from homeport.serving.background_loops import BackgroundLoops
from homeport.serving.batches.batch_run import (
    LEASE_S,
    RENEW_INTERVAL_S,
    BatchDeps,
    BatchRun,
)

MAX_CONCURRENT_LINES = 8
"""Of all batches together: what one engine does well side by side, and little enough to make room quickly."""
_BATCHES_AT_ONCE = 8
_POLL_INTERVAL_S = 0.5
_RETRY_INTERVAL_S = 10.0

_log = logging.getLogger("homeport.batches")


class BatchRunner:
    """The batches that this process works on. `run` it beside the server; `loops` runs what repeats."""

    def __init__(
        self,
        book: BatchRepository,
        files: FileRepository,
        dispatch: RequestDispatcher,
        gap: IdleGate,
        spool: Path,
        loops: BackgroundLoops,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._book = book
        self._loops = loops
        self._means = BatchDeps(book, files, dispatch, gap, asyncio.Semaphore(MAX_CONCURRENT_LINES), spool, now)
        self._runs: dict[asyncio.Task[None], BatchRun] = {}
        self._name = uuid.uuid4().hex
        self._numbers = itertools.count(1)

    @property
    def running(self) -> int:
        """Batches under way here."""
        return len(self._runs)

    @property
    def lines_left(self) -> int:
        """Lines of these that have no outcome yet."""
        return sum(run.lines_left for run in self._runs.values())

    async def run(self) -> None:
        """Take up batches, until cancelled; those under way are then left for the next start."""
        try:
            await self._loops.run("batches", self._take_all, _POLL_INTERVAL_S)
        finally:
            for task in self._runs:
                task.cancel()
            await asyncio.gather(*self._runs, return_exceptions=True)

    async def _take_all(self) -> None:
        while len(self._runs) < _BATCHES_AT_ONCE and await self._claim():
            pass

    async def _claim(self) -> bool:
        # A name of its own for each: who comes back to what it has lost is told so even in this process.
        owner = f"{self._name}-{next(self._numbers)}"
        batch = await asyncio.to_thread(self._book.claim, owner, LEASE_S)
        if batch is None:
            return False
        run = BatchRun(self._means, owner, batch)
        task = asyncio.create_task(self._run_batch(run, owner, batch.id))
        self._runs[task] = run
        task.add_done_callback(self._runs.pop)
        return True

    async def _run_batch(self, run: BatchRun, owner: str, batch_id: str) -> None:
        renewing = self._loops.run("batch_leases", partial(_renew, run), RENEW_INTERVAL_S, most_s=RENEW_INTERVAL_S)
        beat = asyncio.create_task(renewing)
        try:
            await run.run()
        except NotFound as error:
            _log.warning("batch %s is worked on elsewhere: %s", batch_id, error)
        except asyncio.CancelledError:
            raise
        except Exception:
            _log.exception("batch %s broke off and is taken up again", batch_id)
            await asyncio.sleep(_RETRY_INTERVAL_S)
        finally:
            beat.cancel()
            await asyncio.gather(beat, return_exceptions=True)
            try:
                await asyncio.to_thread(self._book.release, owner, batch_id)
            except HomeportError as error:
                _log.warning("batch %s is free only in %g s: %s", batch_id, LEASE_S, error)


async def _renew(run: BatchRun) -> None:
    """Own a batch for longer, also while its file is read or written."""
    try:
        await run.renew()
    except NotFound as error:  # it has just ended, or another process has taken it over
        _log.info("a batch is no longer leased: %s", error)
