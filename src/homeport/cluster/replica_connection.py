"""Keeps a gateway connected to one replica, for as long as the replica is known. Knows nothing of requests."""

import asyncio
import logging
import time
from collections.abc import Callable

import msgspec

from homeport.cluster.replica_session import ReplicaSession
from homeport.cluster.replicas import ReplicaAddress
from homeport.domain.errors import HomeportError
from homeport.domain.operations import WorkerReport
from homeport.serving.backoff import Backoff
from homeport.serving.options import ServingOptions

_log = logging.getLogger(__name__)


class ReplicaConnection:
    """One replica and the link to it, if there is one now.

    `on_change` is called when it may take requests, or not; `on_lost` when a link ends that neither side meant to end.
    """

    def __init__(
        self,
        address: ReplicaAddress,
        options: ServingOptions,
        on_change: Callable[[], None],
        on_lost: Callable[[], None],
    ) -> None:
        self.address = address
        self.session: ReplicaSession | None = None
        self.missing_since: float | None = None  # by `time.monotonic`: since when the replica is not known any more
        self._options = options
        self._on_change = on_change
        self._on_lost = on_lost
        self._reason: str | None = None
        self._is_leaving = False
        self._task = asyncio.create_task(self._run())
        self._task.add_done_callback(self._on_end)

    @property
    def accepting_session(self) -> ReplicaSession | None:
        """The session, if it takes requests now."""
        session = self.session
        is_wanted = not self._is_leaving and not self.address.is_draining
        return session if session is not None and is_wanted and session.accepts else None

    @property
    def is_linked(self) -> bool:
        """Whether the replica answers, also if it takes no requests now."""
        return self.session is not None and self.session.status is not None and self.session.is_healthy

    @property
    def is_over(self) -> bool:
        """Whether it has ended for good."""
        return self._task.done()

    @property
    def report(self) -> WorkerReport:
        """The replica as an operator sees it."""
        status = self.session.status if self.session is not None else None
        node, replica = self.address.node, self.address.replica
        if status is None:
            return WorkerReport(
                self.address.model, None, "unreachable", reason=self._reason, node=node, replica=replica
            )
        state = "stopping" if self.address.is_draining else status.report.state
        if self.session is not None and not self.session.is_healthy:
            state = "unreachable"
        return msgspec.structs.replace(status.report, state=state, node=node, replica=replica)

    def retire(self) -> None:
        """Give the replica no more requests, and end if it has none: call it again until `is_over`."""
        self._is_leaving = True
        if self.session is None or not self.session.open_count:
            self._task.cancel()

    async def close(self, reason: str) -> None:
        """End now. Open streams fail with the reason."""
        self._is_leaving = True
        if self.session is not None:
            await self.session.stop(reason)
        self._task.cancel()
        await asyncio.wait((self._task,))

    async def _run(self) -> None:
        backoff = Backoff(self._options.restart_backoff_s, self._options.restart_backoff_limit_s)
        try:
            while not self._is_leaving:
                started_at = time.monotonic()
                reason = await self._serve()
                if reason != self._reason and not self._is_leaving:
                    _log.warning("no link to %s on %s: %s", self.address.replica, self.address.node, reason)
                self._reason = reason
                if time.monotonic() - started_at > self._options.stable_s:
                    backoff.reset()
                self._on_change()
                await asyncio.sleep(backoff.record_failure())
        finally:
            if self.session is not None:
                session, self.session = self.session, None
                await session.stop("the replica is no longer known")

    async def _serve(self) -> str:
        """Connect, and stay connected for as long as possible. Return why that ended."""
        try:
            self.session = session = await ReplicaSession.connect(self.address, self._options, self._on_change)
            self._on_change()
            reason = (await session.wait_ended()).message
            if self._is_lost(session):
                self._on_lost()
            return reason
        except HomeportError as error:
            return error.message
        finally:
            if self.session is not None and self.session.is_over:
                self.session = None

    def _is_lost(self, session: ReplicaSession) -> bool:
        """Return whether a link that has ended was established, and no side meant to end it."""
        status = session.status
        is_ending = self._is_leaving or self.address.is_draining
        return status is not None and not status.is_draining and not is_ending

    def _on_end(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()):
            _log.error("the connection to %s failed", self.address.replica, exc_info=error)
        self._on_change()
