"""Keeps one model's worker alive: starts it, restarts it with growing pauses, stops it. Knows nothing of requests."""

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

_log = logging.getLogger(__name__)

Launcher = Callable[[LaunchMessage, ServingOptions], Awaitable[WorkerSession]]


class WorkerPhase(StrEnum):
    """The state of a supervised worker."""

    QUEUED = "queued"  # not started: waits for memory
    LOADING = "loading"
    READY = "ready"
    PAUSED = "paused"  # it failed repeatedly; the next attempt follows after a pause
    STOPPED = "stopped"


class WorkerSupervisor:
    """One model's worker, over all its sessions.

    A worker that was ready once is restarted whenever it ends; one whose first load fails is not (`session` raises the
    reason). `launch` starts a session; tests replace it.
    """

    def __init__(
        self, launch_message: LaunchMessage, options: ServingOptions, launch: Launcher = WorkerSession.launch
    ) -> None:
        self.launch_message = launch_message
        self.phase = WorkerPhase.QUEUED
        self.restarts = 0
        self.reason: str | None = None
        self._options = options
        self._launch = launch
        self._backoff = Backoff(options.restart_backoff_s, options.restart_backoff_limit_s)
        self._retry_at = 0.0
        self._session: WorkerSession | None = None
        self._supervision: asyncio.Task[None] | None = None
        self._outcome: asyncio.Future[WorkerSession] = asyncio.get_running_loop().create_future()

    @property
    def current(self) -> WorkerSession | None:
        """The session that accepts requests now, if there is one."""
        session = self._session
        return session if self.phase is WorkerPhase.READY and session and not session.is_over else None

    @property
    def is_healthy(self) -> bool:
        """False if a worker that should run is dead, silent or restarting. Its first load does not count."""
        if self.phase is WorkerPhase.READY:
            return self._session is not None and self._session.is_healthy
        return self.phase in (WorkerPhase.QUEUED, WorkerPhase.STOPPED) or (
            self.phase is WorkerPhase.LOADING and self.reason is None
        )

    def start(self) -> None:
        """Start to load."""
        self.phase = WorkerPhase.LOADING
        self._supervision = asyncio.create_task(self._supervise())
        self._supervision.add_done_callback(self._on_supervision_end)

    async def session(self) -> WorkerSession:
        """Wait until it is loaded. Raises Unavailable if it does not load, was stopped, or keeps crashing."""
        if self.phase is WorkerPhase.PAUSED:
            wait_s = max(0.0, self._retry_at - time.monotonic())
            raise Unavailable(f"{self._name} is not running: {self.reason}", retry_after_s=wait_s)
        while True:
            session = await asyncio.shield(self._outcome)
            if not session.is_over:
                return session
            await session.wait_ended()
            await asyncio.sleep(0)  # the supervising task, resumed at the same time, sets a new outcome

    def reject_waiters(self, error: HomeportError) -> None:
        """Fail all waiters: it will not be loaded."""
        self.phase = WorkerPhase.STOPPED
        self._set_outcome(error)

    async def stop(self) -> None:
        """End it for good and wait until its memory is freed. Open streams fail."""
        self.reject_waiters(Unavailable(f"{self._name} was stopped."))
        if self._supervision is not None:
            self._supervision.cancel()
            await asyncio.wait((self._supervision,))
        if self._session is not None:
            await self._session.stop()

    @property
    def _name(self) -> str:
        return self.launch_message.spec.model

    def _on_supervision_end(self, supervision: asyncio.Task[None]) -> None:
        if not supervision.cancelled() and (error := supervision.exception()):
            _log.error("The supervision of %s failed", self._name, exc_info=error)
            self.reject_waiters(Unavailable(f"{self._name} is not running: its supervision failed."))

    async def _supervise(self) -> None:
        while True:
            try:
                await self._watch_session(await self._launch(self.launch_message, self._options))
            except Exception as error:
                failure = self._as_homeport_error(error)
                self.reason = failure.message
                if self._session is None:  # it was never ready
                    self.reject_waiters(failure)
                    return
                await self._session.stop()  # otherwise a worker without requests would keep its memory
            self.restarts += 1
            self._reset_outcome()
            await self._pause()

    def _as_homeport_error(self, error: Exception) -> HomeportError:
        if isinstance(error, HomeportError):
            return error
        _log.error("A worker of %s failed to start or run", self._name, exc_info=error)
        return Unavailable(f"{self._name} is not running because of an internal error: {type(error).__name__}.")

    async def _watch_session(self, session: WorkerSession) -> None:
        self._session = session
        self.phase = WorkerPhase.READY
        self.reason = None
        self._outcome.set_result(session)
        started_at = time.monotonic()
        self.reason = (await session.wait_ended()).message
        if session.has_served or time.monotonic() - started_at > self._options.stable_s:
            self._backoff.reset()

    async def _pause(self) -> None:
        wait_s = self._backoff.record_failure()
        _log.warning("%s is restarted in %g s: %s", self._name, wait_s, self.reason)
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
        self._outcome.exception()  # mark the exception as retrieved, in case nothing waits for it
