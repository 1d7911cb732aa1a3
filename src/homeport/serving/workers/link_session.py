"""The streams on one link to what runs a model: requests, credit, heartbeat, the end.

Knows nothing of what is at the other end: a child process (`session`), or a replica on another machine.
"""

import asyncio
import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from itertools import count
from typing import Any, Protocol

from homeport.domain.errors import EngineFailed, HomeportError, PayloadTooLarge, Unavailable
from homeport.domain.events import Event
from homeport.domain.models import EngineStats, LoadedModel
from homeport.domain.ports.serving import More
from homeport.domain.worker_messages import (
    CancelRequest,
    EngineRequest,
    Grant,
    GrantCredit,
    LoadFailed,
    ModelReady,
    OpenRequest,
    Ping,
    Pong,
    StepEvents,
    WorkerReply,
    concurrent_choices,
)
from homeport.serving.options import ServingOptions
from homeport.serving.workers.link import FrameLink
from homeport.serving.workers.stream import WorkerStream

_log = logging.getLogger(__name__)

MAX_MISSED_HEARTBEATS = 3
"""A worker that left this many pings unanswered counts as unhealthy, long before it is killed."""


class StreamEnd(Protocol):
    """One request, as its session sees it."""

    def push(self, event: Event) -> None:
        """Add one event, in order."""
        ...

    def fail(self, error: HomeportError, *, cancel: bool) -> None:
        """End it with an error."""
        ...

    def expire(self, limit_s: float, now: float) -> None:
        """End it if its events were not read for `limit_s` seconds."""
        ...


class LinkSession(ABC):
    """One link from its start to its end, and the streams on it. `loaded` may be read once the model is loaded.

    `on_step` is called after the events of each frame. A subclass connects `_link`, and supervises it in a task.
    """

    loaded: LoadedModel

    def __init__(self, model: str, options: ServingOptions) -> None:
        self.gauges = EngineStats()
        self.has_served = False
        self.on_step: Callable[[], None] | None = None
        self._model = model
        self._options = options
        self._streams: dict[int, StreamEnd] = {}
        self._ids = count(1)
        self._unanswered_s = 0.0
        self._has_answered = False
        loop = asyncio.get_running_loop()
        self._ready: asyncio.Future[LoadedModel] = loop.create_future()
        self._ending: asyncio.Future[str] = loop.create_future()
        self._link: FrameLink[Any] | None = None
        self._watch_task: asyncio.Task[HomeportError] | None = None

    @property
    def is_over(self) -> bool:
        """Whether it has ended or is about to."""
        return self._ending.done()

    @property
    def is_healthy(self) -> bool:
        """Whether it runs and answers pings."""
        return not self.is_over and self._unanswered_s < MAX_MISSED_HEARTBEATS * self._options.heartbeat_s

    @property
    def open_count(self) -> int:
        """The requests on it that have not ended."""
        return len(self._streams)

    async def open(
        self,
        request: EngineRequest,
        on_end: Callable[[], None],
        on_first: Callable[[], None] | None = None,
        *,
        is_paused: bool = False,
        is_background: bool = False,
        more: More | None = None,
    ) -> WorkerStream:
        """Send a request. Raises EngineFailed if the session has ended, PayloadTooLarge if the request is too large.

        `on_end` is called exactly once, also if this raises; `on_first` when the first event of the answer arrives. If
        `is_paused`, it computes no step before its stream is resumed; if `is_background`, a replica host pauses it
        while callers wait. `more` is called when its quota runs low.
        """
        if self._link is None or self.is_over:
            on_end()
            raise self._stream_error("")
        id = self.next_id()
        stream = WorkerStream(id, self._model, self, self._options.credit, concurrent_choices(request), on_end)
        stream.on_first, stream.more = on_first, more
        try:
            self.start(OpenRequest(id, request, stream.initial_credit(paused=is_paused), is_background), stream)
        except PayloadTooLarge as error:
            stream.fail(error, cancel=False)
            raise
        try:
            await self._link.drain()
        except BaseException:
            await stream.aclose()
            raise
        return stream

    def next_id(self) -> int:
        """Return the id of the next request."""
        return next(self._ids)

    def start(self, message: OpenRequest, stream: StreamEnd) -> None:
        """Send a request whose id is `next_id`'s; its events go to `stream`. Raises PayloadTooLarge."""
        if self._link is not None:
            self._link.send(message)
        self._streams[message.id] = stream

    def credit(self, id: int, n: int) -> None:
        """Allow `n` more events of a stream."""
        if self._link is not None:
            self._link.send(GrantCredit(id, n))

    def grant(self, id: int, n: int) -> None:
        """Allow a stream `n` more tokens; 0: there are no more."""
        if self._link is not None:
            self._link.send(Grant(id, n))

    def forget_stream(self, id: int, *, cancel: bool) -> None:
        """Forget a stream; `cancel` also cancels it in the worker."""
        if self._streams.pop(id, None) is not None and cancel and self._link is not None:
            self._link.send(CancelRequest(id))

    async def wait_ended(self) -> HomeportError:
        """Wait for the end; return the error that the streams received."""
        if self._watch_task is None:
            return EngineFailed("The model's worker never started.")
        return await asyncio.shield(self._watch_task)

    @abstractmethod
    def _stream_error(self, reason: str) -> HomeportError:
        """Return the error of streams that end with the session, for `reason` if that is known."""

    def _on_message(self, message: WorkerReply) -> None:
        if isinstance(message, StepEvents):
            for id, event in message.events:
                if stream := self._streams.get(id):
                    stream.push(event)
                    self.has_served = self.has_served or id not in self._streams
            if self.on_step is not None:
                self.on_step()
        elif isinstance(message, Pong):
            self._has_answered = True
            self.gauges = message.gauges
        elif isinstance(message, ModelReady) and not self._ready.done():
            self._ready.set_result(message.loaded)
        elif isinstance(message, LoadFailed) and not self._ready.done():
            self._ready.set_exception(_load_error(self._model, message))
        else:
            self._end(f"it sent {type(message).__name__} a second time")

    def _end(self, reason: str) -> None:
        if not self._ending.done():
            self._ending.set_result(reason)

    async def _supervise(self) -> str:
        """Send heartbeats until the session ends; then close the link and fail all streams. Return the reason."""
        heartbeat = asyncio.create_task(self._send_heartbeats())
        heartbeat.add_done_callback(self._on_heartbeat_end)
        reason = await self._ending
        heartbeat.cancel()
        if self._link is not None:
            self._link.close()
        error = self._stream_error(reason)
        for stream in tuple(self._streams.values()):
            stream.fail(error, cancel=False)
        await asyncio.wait((heartbeat,))
        return reason

    async def _wait_until_responsive(self) -> None:
        """Wait until the other side answers pings: a worker does not while it loads."""
        await asyncio.wait((self._ready,))

    async def _send_heartbeats(self) -> None:
        await self._wait_until_responsive()
        while not self.is_over and self._link is not None:
            self._has_answered = False
            self._link.send(Ping())
            await asyncio.sleep(self._options.heartbeat_s)
            # Counted in heartbeats, not by the clock: a machine that slept, or a gateway that was blocked, proves
            # nothing.
            self._unanswered_s = 0.0 if self._has_answered else self._unanswered_s + self._options.heartbeat_s
            now = time.monotonic()
            for stream in tuple(self._streams.values()):
                stream.expire(self._options.reader_stall_s, now)
            self._check_health()

    def _on_heartbeat_end(self, heartbeat: asyncio.Task[None]) -> None:
        if not heartbeat.cancelled() and (error := heartbeat.exception()):
            _log.error("The heartbeat of a worker of %s failed", self._model, exc_info=error)
            self._end("its heartbeat failed")

    def _check_health(self) -> None:
        if self._unanswered_s > self._options.heartbeat_limit_s:
            self._end(f"it did not answer for {self._unanswered_s:.1f} s")
        elif self.gauges.stalled_s > self._options.stall_limit_s:
            self._end(f"it was stuck in one step for {self.gauges.stalled_s:.1f} s")


def _load_error(model: str, message: LoadFailed) -> HomeportError:
    """A failed load is not the fault of the request that started it: always Unavailable."""
    return Unavailable(f"{model} does not load: {message.fault.message}", code=message.fault.code)
