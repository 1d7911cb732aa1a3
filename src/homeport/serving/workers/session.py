"""One worker from its start to its exit: launch, requests, heartbeat. Never restarts; `supervisor` does.

Knows nothing of leases or of why a model is needed.
"""

import asyncio
import logging
import socket
import time
from collections.abc import Callable
from itertools import count
from typing import Self

from homeport.domain.errors import (
    EngineFailed,
    HomeportError,
    PayloadTooLarge,
    Unavailable,
)
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
from homeport.serving.workers.child_process import ChildProcess
from homeport.serving.workers.frames import LaunchMessage
from homeport.serving.workers.link import WorkerLink
from homeport.serving.workers.stream import WorkerStream

_log = logging.getLogger(__name__)

MAX_MISSED_HEARTBEATS = 3
"""A worker that left this many pings unanswered counts as unhealthy, long before it is killed."""

_STOPPED = "it was unloaded"


class WorkerSession:
    """A worker process and the streams on it. `loaded` may be read once `launch` has returned."""

    loaded: LoadedModel

    def __init__(self, model: str, options: ServingOptions) -> None:
        self.gauges = EngineStats()
        self.has_served = False
        self._model = model
        self._options = options
        self._streams: dict[int, WorkerStream] = {}
        self._ids = count(1)
        self._unanswered_s = 0.0
        self._has_answered = False
        loop = asyncio.get_running_loop()
        self._ready: asyncio.Future[LoadedModel] = loop.create_future()
        self._ending: asyncio.Future[str] = loop.create_future()
        self._child: ChildProcess | None = None
        self._link: WorkerLink | None = None
        self._watch_task: asyncio.Task[HomeportError] | None = None

    @classmethod
    async def launch(cls, message: LaunchMessage, options: ServingOptions) -> Self:
        """Start a worker and wait until its model is loaded.

        Raises Unavailable (or the engine's own error) if it does not load in time; then nothing is left running.
        """
        session = cls(message.spec.model, options)
        try:
            await session._start(message)
            async with asyncio.timeout(options.load_limit_s):
                session.loaded = await asyncio.shield(session._ready)
        except TimeoutError as error:
            await session.stop()
            raise Unavailable(f"{message.spec.model} was not loaded within {options.load_limit_s:g} s.") from error
        except OSError as error:
            await session.stop()
            raise Unavailable(f"No worker can be started for {message.spec.model}: {error}") from error
        except BaseException:
            await session.stop()
            raise
        return session

    @property
    def pid(self) -> int | None:
        """The worker's process id."""
        return None if self._child is None else self._child.pid

    @property
    def is_over(self) -> bool:
        """Whether it has ended or is about to."""
        return self._ending.done()

    @property
    def is_healthy(self) -> bool:
        """Whether it runs and answers pings."""
        return not self.is_over and self._unanswered_s < MAX_MISSED_HEARTBEATS * self._options.heartbeat_s

    async def open(
        self,
        request: EngineRequest,
        on_end: Callable[[], None],
        on_first: Callable[[], None] | None = None,
        *,
        is_paused: bool = False,
        more: More | None = None,
    ) -> WorkerStream:
        """Send a request. Raises EngineFailed if the worker has ended, PayloadTooLarge if the request is too large.

        `on_end` is called exactly once, also if this raises; `on_first` when the first event of the answer arrives. If
        `is_paused`, it computes no step before its stream is resumed; `more` is called when its quota runs low.
        """
        if self._link is None or self.is_over:
            on_end()
            raise EngineFailed("The model's worker stopped.")
        id = next(self._ids)
        stream = WorkerStream(id, self._model, self, self._options.credit, concurrent_choices(request), on_end)
        stream.on_first, stream.more = on_first, more
        try:
            self._link.send(OpenRequest(id, request, stream.initial_credit(paused=is_paused)))
        except PayloadTooLarge as error:
            stream.fail(error, cancel=False)
            raise
        self._streams[id] = stream
        try:
            await self._link.drain()
        except BaseException:
            await stream.aclose()
            raise
        return stream

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
        """Wait for the worker's end; return the error that its streams received."""
        if self._watch_task is None:
            return EngineFailed("The model's worker never started.")
        return await asyncio.shield(self._watch_task)

    async def stop(self) -> None:
        """End the worker and wait until its memory is freed. Open streams fail."""
        self._end(_STOPPED)
        await self.wait_ended()

    async def _start(self, message: LaunchMessage) -> None:
        ours, theirs = socket.socketpair()
        try:
            self._child = await ChildProcess.spawn(theirs, self._model)
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        self._watch_task = asyncio.create_task(self._watch(self._child))
        try:
            self._link = await WorkerLink.connect(ours, self._on_message, self._end, message.frame_bytes)
        except BaseException:
            ours.close()
            raise
        self._link.send(message)

    def _on_message(self, message: WorkerReply) -> None:
        if isinstance(message, StepEvents):
            for id, event in message.events:
                if stream := self._streams.get(id):
                    stream.push(event)
                    self.has_served = self.has_served or id not in self._streams
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

    async def _watch(self, child: ChildProcess) -> HomeportError:
        """Supervise the worker until it ends, then clean up."""
        heartbeat = asyncio.create_task(self._send_heartbeats())
        heartbeat.add_done_callback(self._on_heartbeat_end)
        reason = await self._ending
        heartbeat.cancel()
        if self._link is not None:
            self._link.close()
        error = EngineFailed(f"The model's worker stopped ({reason}).")
        for stream in tuple(self._streams.values()):
            stream.fail(error, cancel=False)
        exit_reason = await child.end()
        await asyncio.wait((heartbeat,))
        if not self._ready.done():
            self._ready.set_exception(Unavailable(f"{self._model} does not load: its worker ended with {exit_reason}."))
        self._ready.exception()  # mark the exception as retrieved, in case nothing waits for it
        level = logging.DEBUG if reason == _STOPPED else logging.ERROR
        _log.log(
            level,
            "Worker %d of %s ended with %s: %s\n%s",
            child.pid,
            self._model,
            exit_reason,
            reason,
            _format_output(child),
        )
        return EngineFailed(f"The model's worker stopped ({reason}; {exit_reason}).")

    async def _send_heartbeats(self) -> None:
        await asyncio.wait((self._ready,))
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


def _format_output(child: ChildProcess) -> str:
    return "\n".join(child.last_output)


def _load_error(model: str, message: LoadFailed) -> HomeportError:
    """A failed load is not the fault of the request that started it: always Unavailable."""
    return Unavailable(f"{model} does not load: {message.fault.message}", code=message.fault.code)
