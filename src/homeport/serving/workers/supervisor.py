"""Keeps one model's worker alive: start, restart with growing pauses, stop. Knows nothing of who uses the model."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from enum import StrEnum

from homeport.domain.errors import HomeportError, Unavailable
from homeport.serving.backoff import Backoff
from homeport.serving.options import ServingOptions
from homeport.serving.workers.frames import LaunchMessage
from homeport.serving.workers.session import WorkerSession

log = logging.getLogger(__name__)

Launcher = Callable[[LaunchMessage, ServingOptions], Awaitable[WorkerSession]]


class WorkerPhase(StrEnum):
    """Where a supervised worker stands."""

    QUEUED = "queued"  # not started: waits for memory
    LOADING = "loading"
    READY = "ready"
    PAUSED = "paused"  # it failed again and again; the next try comes after a pause
    STOPPED = "stopped"


class WorkerSupervisor:
    """One model's worker over all its lives.

    A worker that was ready once is restarted whenever it ends; one whose first load fails is not (`session`
    says why). `launch` starts a session; tests give another.
    """

    def __init__(self, order: LaunchMessage, options: ServingOptions, launch: Launcher = WorkerSession.launch) -> None:
        self.launch_message = order
        self.phase = WorkerPhase.QUEUED
        self.restarts = 0
        self.reason: str | None = None
        self._options = options
        self._launch = launch
        self._backoff = Backoff(options.restart_backoff_s, options.restart_backoff_limit_s)
        self._retry_at = 0.0
        self._session: WorkerSession | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._outcome: asyncio.Future[WorkerSession] = asyncio.get_running_loop().create_future()

    @property
    def current(self) -> WorkerSession | None:
        """The session requests can go to now, if any."""
        session = self._session
        return session if self.phase is WorkerPhase.READY and session and not session.is_over else None

    @property
    def is_healthy(self) -> bool:
        """False where a worker that should live is dead, silent or restarting. A first load is no ailment."""
        if self.phase is WorkerPhase.READY:
            return self._session is not None and self._session.is_healthy
        return self.phase in (WorkerPhase.QUEUED, WorkerPhase.STOPPED) or (
            self.phase is WorkerPhase.LOADING and self.reason is None
        )

    def start(self) -> None:
        """Begin to load."""
        self.phase = WorkerPhase.LOADING
        self._keeping = asyncio.create_task(self._supervise())
        self._keeping.add_done_callback(self._on_supervision_end)

    async def session(self) -> WorkerSession:
        """Wait until it is loaded. Raises Unavailable where it does not load, was stopped, or keeps crashing."""
        if self.phase is WorkerPhase.PAUSED:
            wait_s = max(0.0, self._retry_at - time.monotonic())
            raise Unavailable(f"{self._name} is not running: {self.reason}", retry_after_s=wait_s)
        while True:
            session = await asyncio.shield(self._outcome)
            if not session.is_over:
                return session
            await session.wait_ended()
            await asyncio.sleep(0)  # the keeper, told at the same time, puts a new outcome in place

    def reject_waiters(self, error: HomeportError) -> None:
        """Tell everyone who waits that it will not be loaded."""
        self.phase = WorkerPhase.STOPPED
        self._set_outcome(error)

    async def stop(self) -> None:
        """End it for good and wait until its memory is given back. Streams still open fail."""
        self.reject_waiters(Unavailable(f"{self._name} was stopped."))
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.wait((self._keeping,))
        if self._session is not None:
            await self._session.stop()

    @property
    def _name(self) -> str:
        return self.launch_message.spec.model

    def _on_supervision_end(self, keeping: asyncio.Task[None]) -> None:
        if not keeping.cancelled() and (error := keeping.exception()):
            log.error("The keeper of %s failed", self._name, exc_info=error)
            self.reject_waiters(Unavailable(f"{self._name} is not running: its keeper failed."))

    async def _supervise(self) -> None:
        while True:
            try:
                await self._watch_session(await self._launch(self.launch_message, self._options))
            except Exception as error:
                failure = self._explained(error)
                self.reason = failure.message
                if self._session is None:  # it never was ready
                    self.reject_waiters(failure)
                    return
                await self._session.stop()  # else a worker that nobody asks any more would keep its memory
            self.restarts += 1
            self._reset_outcome()
            await self._pause()

    def _explained(self, error: Exception) -> HomeportError:
        if isinstance(error, HomeportError):
            return error
        log.error("A worker of %s failed to start or run", self._name, exc_info=error)
        return Unavailable(f"{self._name} is not running because of an internal error: {type(error).__name__}.")

    async def _watch_session(self, session: WorkerSession) -> None:
        self._session = session
        self.phase = WorkerPhase.READY
        self.reason = None
        self._outcome.set_result(session)
        since = time.monotonic()
        self.reason = (await session.wait_ended()).message
        if session.has_served or time.monotonic() - since > self._options.stable_s:
            self._backoff.reset()

    async def _pause(self) -> None:
        wait_s = self._backoff.record_failure()
        log.warning("%s is restarted in %g s: %s", self._name, wait_s, self.reason)
        if wait_s:
            self.phase = WorkerPhase.PAUSED
            self._retry_at = time.monotonic() + wait_s
            self._set_outcome(Unavailable(f"{self._name} is not running: {self.reason}", retry_after_s=wait_s))
            await asyncio.sleep(wait_s)
            self._reset_outcome()
        self.phase = WorkerPhase.LOADING

    def _reset_outcome(self) -> None:
        if self._outcome.done():
            self._outcome = asyncio.get_running_loop().create_future()

    def _set_outcome(self, error: HomeportError) -> None:
        self._reset_outcome()
        self._outcome.set_exception(error)
        self._outcome.exception()  # taken here, for when nobody waits
