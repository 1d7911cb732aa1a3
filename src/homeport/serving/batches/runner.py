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

from homeport.domain.errors import HomeportError, Missing
from homeport.domain.ports.batches import BatchBook, Dispatch, Gap
from homeport.domain.ports.serving import FileBook
from homeport.serving.background_loops import Supervisor
from homeport.serving.batches.batch_run import (
    LEASE_S,
    RENEW_S,
    Means,
    Run,
)

LINES_AT_ONCE = 8
"""Of all batches together: what one engine does well side by side, and little enough to make room quickly."""
_BATCHES_AT_ONCE = 8
_LOOK_S = 0.5
_REST_S = 10.0

_log = logging.getLogger("homeport.batches")


class Desk:
    """The batches that this process works on. `run` it beside the server; `loops` runs what repeats."""

    def __init__(
        self,
        book: BatchBook,
        files: FileBook,
        dispatch: Dispatch,
        gap: Gap,
        spool: Path,
        loops: Supervisor,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._book = book
        self._loops = loops
        self._means = Means(book, files, dispatch, gap, asyncio.Semaphore(LINES_AT_ONCE), spool, now)
        self._runs: dict[asyncio.Task[None], Run] = {}
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
            await self._loops.run("batches", self._take_all, _LOOK_S)
        finally:
            for task in self._runs:
                task.cancel()
            await asyncio.gather(*self._runs, return_exceptions=True)

    async def _take_all(self) -> None:
        while len(self._runs) < _BATCHES_AT_ONCE and await self._take():
            pass

    async def _take(self) -> bool:
        # A name of its own for each: who comes back to what it has lost is told so even in this process.
        owner = f"{self._name}-{next(self._numbers)}"
        batch = await asyncio.to_thread(self._book.claim, owner, LEASE_S)
        if batch is None:
            return False
        run = Run(self._means, owner, batch)
        task = asyncio.create_task(self._see_through(run, owner, batch.id))
        self._runs[task] = run
        task.add_done_callback(self._runs.pop)
        return True

    async def _see_through(self, run: Run, owner: str, batch_id: str) -> None:
        renewing = self._loops.run("batch_leases", partial(_renew, run), RENEW_S, most_s=RENEW_S)
        beat = asyncio.create_task(renewing)
        try:
            await run.work()
        except Missing as error:
            _log.warning("batch %s is worked on elsewhere: %s", batch_id, error)
        except asyncio.CancelledError:
            raise
        except Exception:
            _log.exception("batch %s broke off and is taken up again", batch_id)
            await asyncio.sleep(_REST_S)
        finally:
            beat.cancel()
            await asyncio.gather(beat, return_exceptions=True)
            try:
                await asyncio.to_thread(self._book.release, owner, batch_id)
            except HomeportError as error:
                _log.warning("batch %s is free only in %g s: %s", batch_id, LEASE_S, error)


async def _renew(run: Run) -> None:
    """Own a batch for longer, also while its file is read or written."""
    try:
        await run.renew()
    except Missing as error:  # it has just ended, or another process has taken it over
        _log.info("a batch is no longer leased: %s", error)
