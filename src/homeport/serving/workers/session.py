"""One worker from its start to its end: launch, requests, heartbeat. Never restarts; `process` does.

Knows nothing of leases or of why a model is wanted.
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

log = logging.getLogger(__name__)

MAX_MISSED_HEARTBEATS = 3
"""A worker that left this many pings unanswered is no longer counted as well, long before it is killed."""

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
        self._silent_s = 0.0
        self._has_answered = False
        loop = asyncio.get_running_loop()
        self._ready: asyncio.Future[LoadedModel] = loop.create_future()
        self._ending: asyncio.Future[str] = loop.create_future()
        self._child: ChildProcess | None = None
        self._link: WorkerLink | None = None
        self._watching: asyncio.Task[HomeportError] | None = None

    @classmethod
    async def launch(cls, order: LaunchMessage, options: ServingOptions) -> Self:
        """Start a worker and wait until its model is loaded.

        Raises Unavailable (or the engine's own error) where it does not load in time; nothing is left running then.
        """
        session = cls(order.spec.model, options)
        try:
            await session._start(order)
            async with asyncio.timeout(options.load_limit_s):
                session.loaded = await asyncio.shield(session._ready)
        except TimeoutError as error:
            await session.stop()
            raise Unavailable(f"{order.spec.model} was not loaded within {options.load_limit_s:g} s.") from error
        except OSError as error:
            await session.stop()
            raise Unavailable(f"No worker can be started for {order.spec.model}: {error}") from error
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
        """Whether it ended or is about to."""
        return self._ending.done()

    @property
    def is_healthy(self) -> bool:
        """Whether it lives and answers."""
        return not self.is_over and self._silent_s < MAX_MISSED_HEARTBEATS * self._options.heartbeat_s

    async def open(
        self,
        request: EngineRequest,
        on_end: Callable[[], None],
        on_first: Callable[[], None] | None = None,
        *,
        rests: bool = False,
        more: More | None = None,
    ) -> WorkerStream:
        """Send a request. Raises EngineFailed where the worker is over, PayloadTooLarge where the request is too big.

        `on_end` is called exactly once, also where this raises; `on_first` when the first of the answer is there. One
        that `rests` makes no step before its stream is told to resume; `more` is asked when its quota runs low.
        """
        if self._link is None or self.is_over:
            on_end()
            raise EngineFailed("The model's worker stopped.")
        id = next(self._ids)
        stream = WorkerStream(id, self._model, self, self._options.credit, concurrent_choices(request), on_end)
        stream.on_first, stream.more = on_first, more
        try:
            self._link.send(OpenRequest(id, request, stream.initial_credit(paused=rests)))
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
        """Forget a stream; `cancel` also tells the worker."""
        if self._streams.pop(id, None) is not None and cancel and self._link is not None:
            self._link.send(CancelRequest(id))

    async def wait_ended(self) -> HomeportError:
        """Wait for the worker's end; gives what its streams were told."""
        if self._watching is None:
            return EngineFailed("The model's worker never started.")
        return await asyncio.shield(self._watching)

    async def stop(self) -> None:
        """End the worker and wait until its memory is given back. Streams still open fail."""
        self._end(_STOPPED)
        await self.wait_ended()

    async def _start(self, order: LaunchMessage) -> None:
        ours, theirs = socket.socketpair()
        try:
            self._child = await ChildProcess.spawn(theirs, self._model)
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        self._watching = asyncio.create_task(self._watch(self._child))
        try:
            self._link = await WorkerLink.connect(ours, self._on_message, self._end, order.frame_bytes)
        except BaseException:
            ours.close()
            raise
        self._link.send(order)

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
        """Live through the worker's whole life, and clean up behind it."""
        beating = asyncio.create_task(self._send_heartbeats())
        beating.add_done_callback(self._on_heartbeat_end)
        reason = await self._ending
        beating.cancel()
        if self._link is not None:
            self._link.close()
        error = EngineFailed(f"The model's worker stopped ({reason}).")
        for stream in tuple(self._streams.values()):
            stream.fail(error, cancel=False)
        how = await child.end()
        await asyncio.wait((beating,))
        if not self._ready.done():
            self._ready.set_exception(Unavailable(f"{self._model} does not load: its worker ended with {how}."))
        self._ready.exception()  # taken here, where nobody waits for it any more
        level = logging.DEBUG if reason == _STOPPED else logging.ERROR
        log.log(
            level, "Worker %d of %s ended with %s: %s\n%s", child.pid, self._model, how, reason, _format_output(child)
        )
        return EngineFailed(f"The model's worker stopped ({reason}; {how}).")

    async def _send_heartbeats(self) -> None:
        await asyncio.wait((self._ready,))
        while not self.is_over and self._link is not None:
            self._has_answered = False
            self._link.send(Ping())
            await asyncio.sleep(self._options.heartbeat_s)
            # Counted in beats, not by the clock: a machine that slept, or a gateway that was held up, is no proof.
            self._silent_s = 0.0 if self._has_answered else self._silent_s + self._options.heartbeat_s
            now = time.monotonic()
            for stream in tuple(self._streams.values()):
                stream.expire(self._options.reader_stall_s, now)
            self._check_health()

    def _on_heartbeat_end(self, beating: asyncio.Task[None]) -> None:
        if not beating.cancelled() and (error := beating.exception()):
            log.error("The watch over a worker of %s failed", self._model, exc_info=error)
            self._end("it was no longer watched")

    def _check_health(self) -> None:
        if self._silent_s > self._options.heartbeat_limit_s:
            self._end(f"it did not answer for {self._silent_s:.1f} s")
        elif self.gauges.stalled_s > self._options.stall_limit_s:
            self._end(f"it was stuck in one step for {self.gauges.stalled_s:.1f} s")


def _format_output(child: ChildProcess) -> str:
    return "\n".join(child.last_output)


def _load_error(model: str, message: LoadFailed) -> HomeportError:
    """Whatever kept the model from loading, it is not the fault of the request that asked for it."""
    return Unavailable(f"{model} does not load: {message.fault.message}", code=message.fault.code)
