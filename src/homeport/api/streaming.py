"""Streams of events or bytes, and callers that leave: answers that end when nobody reads them any more.

Knows nothing of what is streamed: a source gives bytes (whole events, where they are events), this sends them. Work
for a caller runs in one task which owns all it holds, so that cancelling this task frees everything.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Coroutine, Mapping
from contextlib import aclosing
from typing import TypeVar

from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from homeport.api.errors import envelope, foreseen
from homeport.domain.errors import EngineFailed

T = TypeVar("T")

DONE = b"data: [DONE]\n\n"
PING = b": ping\n\n"

_log = logging.getLogger("homeport.errors")

# JSON may hold these as they are, but clients that split lines as Unicode does would cut an event there. In a JSON
# document they can only stand inside a string, so the escape is always in place.
_LINE_ENDS = ((b"\xc2\x85", b"\\u0085"), (b"\xe2\x80\xa8", b"\\u2028"), (b"\xe2\x80\xa9", b"\\u2029"))


class ClientDisconnected(ClientDisconnect):
    """The caller closed the connection, or stopped reading for too long: nobody will get the answer."""


def escape_line_ends(document: bytes) -> bytes:
    """Escape what Unicode counts as a line end in an encoded JSON document."""
    if document.isascii():
        return document
    for raw, escaped in _LINE_ENDS:
        document = document.replace(raw, escaped)
    return document


def sse_event(document: bytes) -> bytes:
    """One event that carries an encoded JSON document."""
    return b"data: " + escape_line_ends(document) + b"\n\n"


async def run_until_disconnect(
    receive: Receive, work: Coroutine[object, object, T], *ends: Coroutine[object, object, None]
) -> T:
    """Do `work` while the caller is there: when it leaves, or one of `ends` returns first, `work` is cancelled.

    Returns only when `work` has cleaned up. Raises ClientDisconnected if it was cancelled, else what `work` raises.
    """
    task = asyncio.create_task(work)
    watches = [asyncio.create_task(_wait_for_disconnect(receive)), *(asyncio.create_task(end) for end in ends)]
    try:
        await asyncio.wait((task, *watches), return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        for watch in watches:
            if watch.done():
                watch.result()  # a watch that broke is an error of ours, not a departure
        raise ClientDisconnected
    finally:
        for each in (task, *watches):
            each.cancel()
        await asyncio.gather(task, *watches, return_exceptions=True)
        del task, each  # an error's traceback holds this frame, which would hold the error until the next collection


async def _wait_for_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


class ByteStream(Response):
    """Sends the bytes that `source` gives. Its first item is the permission to send headers, and may be empty.

    An error before the first item is raised, to become an ordinary answer; one after it cuts the connection, so that
    nobody takes the part for the whole. A caller that leaves, or takes nothing for `stall_s`, has its source closed at
    once. `headers` may be filled in until the first item has come.
    """

    def __init__(
        self, source: AsyncGenerator[bytes, None], headers: Mapping[str, str], media_type: str, *, stall_s: float
    ) -> None:
        self.status_code = 200
        self.background = None
        self.media_type = media_type
        self._given = headers
        self._source = source
        self._stall_s = stall_s

    async def __call__(self, _: Scope, receive: Receive, send: Send) -> None:
        """Send the whole stream. Raises ClientDisconnected if the caller leaves before its end."""
        line = _ResponseWriter(send)
        await run_until_disconnect(receive, self._send_all(line), *self._watches(line))

    def _watches(self, line: "_ResponseWriter") -> tuple[Coroutine[object, object, None], ...]:
        """What runs beside the stream; where one returns first, nobody reads any more."""
        return (self._stall(line),)

    async def _send_all(self, line: "_ResponseWriter") -> None:
        async with aclosing(self._source) as source:
            first = await anext(source)
            self.init_headers({**self._given, "cache-control": "no-cache", "x-accel-buffering": "no"})
            await line.begin(self.status_code, self.raw_headers)
            try:
                if first:
                    await line.write(first)
                async for frames in source:
                    await line.write(frames)
            except Exception as error:
                await self._fail(line, error)
            await line.end()

    async def _fail(self, line: "_ResponseWriter", error: Exception) -> None:  # noqa: ARG002 - a kind of stream that has words uses it
        """Say what broke after the beginning, or raise to cut the connection."""
        raise error

    async def _stall(self, line: "_ResponseWriter") -> None:
        """Return when one write has waited for the reader longer than `stall_s`."""
        await line.begun.wait()
        while True:
            left_s = self._stall_s - line.idle_s
            if left_s <= 0 and line.is_writing:
                return
            await asyncio.sleep(max(left_s, self._stall_s / 10))


class EventStream(ByteStream):
    """Sends the events that `source` gives, as `ByteStream` does.

    An error after the first item becomes an event in the stream, after which the stream ends without `[DONE]`. After
    `ping_s` of silence a comment goes out.
    """

    def __init__(
        self, source: AsyncGenerator[bytes, None], headers: Mapping[str, str], *, ping_s: float, stall_s: float
    ) -> None:
        super().__init__(source, headers, "text/event-stream", stall_s=stall_s)
        self._ping_s = ping_s

    def _watches(self, line: "_ResponseWriter") -> tuple[Coroutine[object, object, None], ...]:
        return (self._ping(line), self._stall(line))

    async def _fail(self, line: "_ResponseWriter", error: Exception) -> None:
        told = foreseen(error)
        if told is not error:
            _log.error("a stream broke", exc_info=error)
        await line.write(sse_event(envelope(told or EngineFailed("The server had an error while it answered."))))

    async def _ping(self, line: "_ResponseWriter") -> None:
        """Break every silence with a comment, so that no proxy takes a slow model for a dead one."""
        await line.begun.wait()
        while True:
            left_s = self._ping_s - line.idle_s
            if left_s <= 0 and not line.is_writing:
                await line.write(PING)
            else:
                await asyncio.sleep(max(left_s, self._ping_s / 10))


class _ResponseWriter:
    """The way to the caller: one writer at a time, and since when it has been silent."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._free = asyncio.Event()
        self._clock = asyncio.get_running_loop().time
        self._last = self._clock()
        self._is_over = False
        self.is_writing = False
        self.begun = asyncio.Event()

    @property
    def idle_s(self) -> float:
        """Seconds since the last write was begun or went through."""
        return self._clock() - self._last

    async def begin(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        await self._send({"type": "http.response.start", "status": status, "headers": headers})
        self._last = self._clock()
        self.begun.set()

    async def write(self, frames: bytes) -> None:
        """Send bytes; waits while the caller's side is full. Nothing goes out behind the end."""
        while self.is_writing:  # hardly ever, so this is cheaper than a lock that is taken for every token
            await self._wait_until_free()
        if not self._is_over:
            await self._put(frames, more_body=True)

    async def end(self) -> None:
        while self.is_writing:
            await self._wait_until_free()
        self._is_over = True
        await self._put(b"", more_body=False)

    async def _put(self, frames: bytes, *, more_body: bool) -> None:
        self.is_writing = True
        self._last = self._clock()
        try:
            await self._send({"type": "http.response.body", "body": frames, "more_body": more_body})
        finally:
            self.is_writing = False
            self._free.set()
        self._last = self._clock()

    async def _wait_until_free(self) -> None:
        self._free.clear()
        await self._free.wait()
