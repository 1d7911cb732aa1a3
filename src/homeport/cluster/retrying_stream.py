"""A request that is sent to another replica if its own is lost before any event of the answer has been read.

Knows nothing of links: `open_next` opens the request on some replica that takes requests.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Self

from homeport.cluster.messages import LINK_LOST, NOT_TAKEN, WORKER_LOST
from homeport.domain.errors import EngineFailed, HomeportError
from homeport.domain.events import Admitted, Event
from homeport.serving.workers.stream import WorkerStream

_log = logging.getLogger(__name__)

RETRIES = {WORKER_LOST: 1, LINK_LOST: 3, NOT_TAKEN: 10}
"""How often a request is sent again, by the code of its error: a request that kills workers kills two."""

OpenNext = Callable[[Callable[[], None]], Awaitable[WorkerStream]]


class RetryingStream:
    """Implements `domain.ports.serving.RequestStream`. `open` it before anything else.

    `open_next` calls its argument when the stream that it returns has ended, once, also if it raises. `on_end` is
    called exactly once, when the request is done, has failed for good, or is closed. `may_retry`: whether the server
    still sends requests. `on_retry` is called with the code of the error for which the request is sent again.
    """

    def __init__(
        self,
        model: str,
        open_next: OpenNext,
        on_end: Callable[[], None],
        may_retry: Callable[[], bool],
        on_retry: Callable[[str], None],
    ) -> None:
        self.model = model
        self._open_next = open_next
        self._on_end: Callable[[], None] | None = on_end
        self._may_retry = may_retry
        self._on_retry = on_retry
        self._stream: WorkerStream | None = None
        self._is_opening = False
        self._is_closed = False
        self._has_delivered = False
        self._retries: dict[str, int] = {}

    async def open(self) -> None:
        """Send the request. Raises what `open_next` raises, once no retry is left."""
        try:
            await self._open()
        except BaseException:
            self._finish()
            raise

    async def admitted(self) -> Admitted:
        """Wait until a worker has admitted the request; raise its error otherwise."""
        while True:
            try:
                return await self._current.admitted()
            except HomeportError as error:
                await self._retry(error)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Sequence[Event]:
        while True:
            try:
                batch = await self._current.__anext__()
            except HomeportError as error:
                await self._retry(error)
            else:
                self._has_delivered = True
                return batch

    async def aclose(self) -> None:
        """Cancel the request if unfinished, and release its place. Safe to call twice."""
        self._is_closed = True
        if self._stream is not None:
            await self._stream.aclose()
        self._finish()

    @property
    def _current(self) -> WorkerStream:
        if self._stream is None:
            raise EngineFailed("The request was not sent.")
        return self._stream

    async def _retry(self, error: HomeportError) -> None:
        """Send the request again; raise the error if that is not possible. If cancelled, the next read tries again."""
        if not self._is_retryable(error):
            self._finish()
            raise _plain(error)
        try:
            await self._open()
        except HomeportError:
            self._finish()
            raise
        self._count_retry(error)

    async def _open(self) -> None:
        self._is_opening = True
        try:
            while True:
                try:
                    self._stream = await self._open_next(self._on_attempt_end)
                    break
                except HomeportError as error:
                    if not self._is_retryable(error):
                        raise _plain(error) from None
                    self._count_retry(error)
        finally:
            self._is_opening = False
        if self._is_closed:
            await self._stream.aclose()
        elif self._stream.is_over:
            self._on_attempt_end()

    def _is_retryable(self, error: HomeportError) -> bool:
        left = RETRIES.get(error.code or "", 0) - self._retries.get(error.code or "", 0)
        return left > 0 and not self._has_delivered and not self._is_closed and self._may_retry()

    def _count_retry(self, error: HomeportError) -> None:
        code = error.code or ""
        self._retries[code] = self._retries.get(code, 0) + 1
        self._on_retry(code)
        _log.info("a request of %s is sent again: %s", self.model, error.message)

    def _on_attempt_end(self) -> None:
        """Release the request's place, unless its next reader sends it again."""
        if self._is_opening or self._stream is None:
            return
        error = self._stream.error
        if error is None or not self._is_retryable(error):
            self._finish()

    def _finish(self) -> None:
        if self._on_end is not None:
            on_end, self._on_end = self._on_end, None
            on_end()


def _plain(error: HomeportError) -> HomeportError:
    """Return an error as the caller sees it, without the codes that only the cluster uses."""
    if error.code not in RETRIES:
        return error
    return type(error)(error.message, param=error.param, retry_after_s=error.retry_after_s)
