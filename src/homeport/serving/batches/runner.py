"""Claims and runs batches: the oldest first, several at a time, each owned while it runs.

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
from homeport.domain.ports.batches import RequestDispatcher
from homeport.domain.ports.serving import IdleGate
from homeport.domain.ports.store import BatchRepository, FileRepository
from homeport.serving.background_loops import BackgroundLoops
from homeport.serving.batches.batch_run import (
    LEASE_S,
    RENEW_INTERVAL_S,
    BatchDeps,
    BatchRun,
)

MAX_CONCURRENT_LINES = 8
"""Of all batches together: enough to fill one engine's batches, and few enough to pause quickly."""
_BATCHES_AT_ONCE = 8
_POLL_INTERVAL_S = 0.5
_RETRY_INTERVAL_S = 10.0

_log = logging.getLogger("homeport.batches")


class BatchRunner:
    """The batches that run in this process. `run` it next to the server; `loops` runs periodic work."""

    def __init__(
        self,
        batches: BatchRepository,
        files: FileRepository,
        dispatch: RequestDispatcher,
        idle_gate: IdleGate,
        spool: Path,
        loops: BackgroundLoops,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._batches = batches
        self._loops = loops
        self._deps = BatchDeps(batches, files, dispatch, idle_gate, asyncio.Semaphore(MAX_CONCURRENT_LINES), spool, now)
        self._runs: dict[asyncio.Task[None], BatchRun] = {}
        self._name = uuid.uuid4().hex
        self._numbers = itertools.count(1)

    @property
    def running(self) -> int:
        """Batches that run here."""
        return len(self._runs)

    @property
    def lines_left(self) -> int:
        """Lines of these without a result."""
        return sum(run.lines_left for run in self._runs.values())

    async def run(self) -> None:
        """Claim and run batches until cancelled; unfinished ones are resumed at the next start."""
        try:
            await self._loops.run("batches", self._claim_all, _POLL_INTERVAL_S)
        finally:
            for task in self._runs:
                task.cancel()
            await asyncio.gather(*self._runs, return_exceptions=True)

    async def _claim_all(self) -> None:
        while len(self._runs) < _BATCHES_AT_ONCE and await self._claim():
            pass

    async def _claim(self) -> bool:
        # Each claim has its own name, so that even this process notices that it lost a batch.
        owner = f"{self._name}-{next(self._numbers)}"
        batch = await asyncio.to_thread(self._batches.claim, owner, LEASE_S)
        if batch is None:
            return False
        run = BatchRun(self._deps, owner, batch)
        task = asyncio.create_task(self._run_batch(run, owner, batch.id))
        self._runs[task] = run
        task.add_done_callback(self._runs.pop)
        return True

    async def _run_batch(self, run: BatchRun, owner: str, batch_id: str) -> None:
        renewal = self._loops.run("batch_leases", partial(_renew, run), RENEW_INTERVAL_S, max_pause_s=RENEW_INTERVAL_S)
        renewal_task = asyncio.create_task(renewal)
        try:
            await run.run()
        except NotFound as error:
            _log.warning("batch %s runs in another process: %s", batch_id, error)
        except asyncio.CancelledError:
            raise
        except Exception:
            _log.exception("batch %s failed and is retried", batch_id)
            await asyncio.sleep(_RETRY_INTERVAL_S)
        finally:
            renewal_task.cancel()
            await asyncio.gather(renewal_task, return_exceptions=True)
            try:
                await asyncio.to_thread(self._batches.release, owner, batch_id)
            except HomeportError as error:
                _log.warning("batch %s stays owned for %g s: %s", batch_id, LEASE_S, error)


async def _renew(run: BatchRun) -> None:
    """Extend the ownership of a batch, also while its file is read or written."""
    try:
        await run.renew()
    except NotFound as error:  # it has just ended, or another process has taken it over
        _log.info("a batch is no longer leased: %s", error)
