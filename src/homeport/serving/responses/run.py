"""One run of a background response: from its claim to its end. Knows nothing of which response is next.

However the process ends, the next owner finds in the stored events whether the request may run again: it does unless
some of the answer exists, which other processes may have sent to their callers.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

from homeport.domain.errors import (
    Conflict,
    EngineFailed,
    ExtraNotInstalled,
    HomeportError,
    NotFound,
    QuotaExceeded,
    RateLimited,
    Unavailable,
)
from homeport.domain.ports.responses import ConversationRepository, ResponseDispatcher, ResponseRepository
from homeport.domain.responses import ResponseEnd, ResponseEvent, StoredResponse
from homeport.serving.backoff import Backoff
from homeport.serving.responses.event_buffer import EventBuffer
from homeport.serving.responses.run_log import RunLog
from homeport.serving.responses.signals import ResponseSignals

P = ParamSpec("P")
T = TypeVar("T")

_SQL_RETRY_S = 1.0
_FIRST_RETRY_S, _MAX_RETRY_S = 0.25, 10.0
_BUSY_S, _UNAVAILABLE_S = 3600.0, 600.0
"""How long a request is sent again, by why it is refused: others use what it needs, or its model does not load."""
_EVENTS_PER_PAGE = 1000
_STOPPED = "The server stopped while it answered."
_BROKEN = "The server had an error while it answered."

_log = logging.getLogger("homeport.responses")


@dataclass(frozen=True)
class RunDeps:
    """What a run needs. `permits` bounds the requests that run at once.

    `conversations`: a request reserves its conversation for its response, and its run ends the reservation.
    """

    responses: ResponseRepository
    conversations: ConversationRepository
    dispatch: ResponseDispatcher
    signals: ResponseSignals
    permits: asyncio.Semaphore


class ResponseRun:
    """One run of an owned response. Used once. `is_waiting`: its request was refused and is sent again later."""

    def __init__(self, deps: RunDeps, owner: str, response: StoredResponse) -> None:
        self._deps = deps
        self._owner = owner
        self._response = response
        self._cancelled = asyncio.Event()
        self._is_started = response.status != "queued"
        self.is_waiting = False

    def cancel(self) -> None:
        """End the response as `cancelled`, unless it has ended. Safe to call twice."""
        self._cancelled.set()

    async def run(self) -> None:
        """Run the response to its end. Raises NotFound if it was deleted, or another process has taken it over."""
        log = await self._read_log()
        if not log.has_begun:
            end = await self._answer(log)
        elif self._cancelled.is_set():
            end = log.cancelled()
        else:
            end = log.failed(EngineFailed(_STOPPED))
        await self._retry_forever(self._deps.responses.finish, self._owner, self._response.id, end)
        # Not before: the next response must find the items of this one.
        if self._response.conversation_id is not None:
            unlock = self._deps.conversations.unlock
            await self._retry_forever(unlock, self._response.conversation_id, self._response.id)

    async def _read_log(self) -> RunLog:
        stored: list[ResponseEvent] = []
        while True:
            after = stored[-1].number if stored else -1
            page = await self._retry_forever(
                self._deps.responses.list_events, self._response.project, self._response.id, after, _EVENTS_PER_PAGE
            )
            stored += page
            if len(page) < _EVENTS_PER_PAGE:
                return RunLog(self._response, stored)

    async def _answer(self, log: RunLog) -> ResponseEnd:
        """Send the request and store its events; return how it ends, with the events that are not stored yet."""
        buffer = EventBuffer(self._write)
        writing = asyncio.create_task(buffer.run())
        receiving = asyncio.create_task(self._receive(log, buffer))
        cancelled = asyncio.create_task(self._cancelled.wait())
        try:
            await asyncio.wait((writing, receiving, cancelled), return_when=asyncio.FIRST_COMPLETED)
            receiving.cancel()
            [outcome] = await asyncio.gather(receiving, return_exceptions=True)
            unwritten = await buffer.close(writing)
        finally:
            for task in (writing, receiving, cancelled):
                task.cancel()
            await asyncio.gather(writing, receiving, cancelled, return_exceptions=True)
        end = self._end(log, outcome)
        return ResponseEnd(end.status, end.body, end.output, (*unwritten, *end.events))

    def _end(self, log: RunLog, outcome: BaseException | None) -> ResponseEnd:
        if log.is_over:
            return log.ended()
        if self._cancelled.is_set():
            return log.cancelled()
        if isinstance(outcome, HomeportError):
            return log.failed(outcome)
        _log.error("the response %s broke", self._response.id, exc_info=outcome)
        return log.failed(EngineFailed(_BROKEN))

    async def _receive(self, log: RunLog, buffer: EventBuffer) -> None:
        """Send the request until it is not refused. Raises what ends the answer."""
        backoff = Backoff(_FIRST_RETRY_S, _MAX_RETRY_S)
        clock = asyncio.get_running_loop().time
        began = clock()
        while True:
            try:
                await self._dispatch(log, buffer)
                return
            except (Conflict, RateLimited, Unavailable) as error:
                if log.has_begun or clock() - began >= _patience_s(error):
                    raise
                pause_s = max(_FIRST_RETRY_S, backoff.record_failure(), error.retry_after_s or 0.0)
            self.is_waiting = True
            await asyncio.sleep(min(pause_s, _MAX_RETRY_S))
            self.is_waiting = False

    async def _dispatch(self, log: RunLog, buffer: EventBuffer) -> None:
        async with self._deps.permits, aclosing(self._deps.dispatch(self._response)) as events:
            async for event in events:
                kept = log.accept(event)
                if kept is not None:
                    await buffer.put(kept)

    async def _write(self, events: Sequence[ResponseEvent]) -> None:
        await self._retry_forever(self._store, events)
        self._deps.signals.notify(self._response.id)

    def _store(self, events: Sequence[ResponseEvent]) -> None:
        if not self._is_started:
            self._deps.responses.start(self._owner, self._response.id)
            self._is_started = True
        self._deps.responses.add_events(self._owner, self._response.id, events)

    async def _retry_forever(self, action: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Repeat an action on the database, in a thread, until it succeeds. Raises NotFound if ownership ends."""
        while True:
            try:
                return await asyncio.to_thread(action, *args, **kwargs)
            except NotFound:
                raise
            except (HomeportError, OSError) as error:
                _log.warning("the response %s waits: %s", self._response.id, error)
                await asyncio.sleep(_SQL_RETRY_S)


def _patience_s(error: HomeportError) -> float:
    """Return how long a request that is refused for this reason is sent again."""
    if isinstance(error, QuotaExceeded | ExtraNotInstalled):
        return 0.0
    return _UNAVAILABLE_S if isinstance(error, Unavailable) else _BUSY_S
