"""Streams events or bytes to a client, and ends the work for a client that disconnects.

Knows nothing of the content: a source returns bytes (complete events in a stream of events), which are sent. The work
for a client runs in one task that owns all resources, so cancelling the task releases them.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Mapping
from contextlib import aclosing
from typing import TypeVar

from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from homeport.api.error_responses import envelope, error_to_report
from homeport.domain.errors import EngineFailed, HomeportError

T = TypeVar("T")

DONE = b"data: [DONE]\n\n"
PING = b": ping\n\n"

_log = logging.getLogger("homeport.errors")

# JSON allows these characters, but clients that split lines as Unicode does would split an event there. In a JSON
# document they only occur inside strings, so the escape is always valid.
_LINE_ENDS = ((b"\xc2\x85", b"\\u0085"), (b"\xe2\x80\xa8", b"\\u2028"), (b"\xe2\x80\xa9", b"\\u2029"))


class ClientDisconnected(ClientDisconnect):
    """The client closed the connection, or read nothing for too long: nobody receives the answer."""


def escape_line_ends(document: bytes) -> bytes:
    """Escape the characters of an encoded JSON document that are line ends in Unicode."""
    if document.isascii():
        return document
    for raw, escaped in _LINE_ENDS:
        document = document.replace(raw, escaped)
    return document


def sse_event(document: bytes) -> bytes:
    """Return an event with an encoded JSON document."""
    return b"data: " + escape_line_ends(document) + b"\n\n"


async def run_until_disconnect(
    receive: Receive, work: Coroutine[object, object, T], *ends: Coroutine[object, object, None]
) -> T:
    """Do `work` while the client is connected: when it disconnects, or one of `ends` returns first, cancel `work`.

    Returns when `work` has cleaned up. Raises ClientDisconnected if `work` was cancelled, else what `work` raises.
    """
    task = asyncio.create_task(work)
    watches = [asyncio.create_task(_wait_for_disconnect(receive)), *(asyncio.create_task(end) for end in ends)]
    try:
        await asyncio.wait((task, *watches), return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        for watch in watches:
            if watch.done():
                watch.result()  # an exception here is an error of the server, not a disconnect
        raise ClientDisconnected
    finally:
        for each in (task, *watches):
            each.cancel()
        await asyncio.gather(task, *watches, return_exceptions=True)
        del task, each  # a cycle with an error's traceback would keep the error in memory


async def _wait_for_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


class ByteStream(Response):
    """Sends the bytes of `source`. Its first item, which may be empty, causes the headers to be sent.

    An error before the first item is raised, and becomes an ordinary response; an error after it closes the connection,
    so that the client notices. When the client disconnects, or reads nothing for `stall_s`, the source is closed at
    once. `headers` may be changed until the first item arrives.
    """

    def __init__(
        self, source: AsyncGenerator[bytes, None], headers: Mapping[str, str], media_type: str, *, stall_s: float
    ) -> None:
        self.status_code = 200
        self.background = None
        self.media_type = media_type
        self._extra_headers = headers
        self._source = source
        self._stall_s = stall_s

    async def __call__(self, _: Scope, receive: Receive, send: Send) -> None:
        """Send the stream. Raises ClientDisconnected if the client disconnects before its end."""
        writer = _ResponseWriter(send)
        await run_until_disconnect(receive, self._send_all(writer), *self._watches(writer))

    def _watches(self, writer: "_ResponseWriter") -> tuple[Coroutine[object, object, None], ...]:
        """Return the checks that run during the stream; if one returns first, the client is considered disconnected."""
        return (self._stall(writer),)

    async def _send_all(self, writer: "_ResponseWriter") -> None:
        async with aclosing(self._source) as source:
            first = await anext(source)
            self.init_headers({**self._extra_headers, "cache-control": "no-cache", "x-accel-buffering": "no"})
            await writer.begin(self.status_code, self.raw_headers)
            try:
                if first:
                    await writer.write(first)
                async for frames in source:
                    await writer.write(frames)
            except Exception as error:
                await writer.write(await self._render_error(error))
            await writer.end()

    async def _render_error(self, error: Exception) -> bytes:
        """Return what reports an error after the start of the stream, or raise it to close the connection."""
        raise error

    async def _stall(self, writer: "_ResponseWriter") -> None:
        """Return when a write has waited for the client longer than `stall_s`."""
        await writer.begun.wait()
        while True:
            left_s = self._stall_s - writer.idle_s
            if left_s <= 0 and writer.is_writing:
                return
            await asyncio.sleep(max(left_s, self._stall_s / 10))


class EventStream(ByteStream):
    """Sends the events of `source`, as `ByteStream` does.

    An error after the first item becomes an event, after which the stream ends without `[DONE]`. After `ping_s` of
    silence `ping` is sent, a comment by default. `render_error` makes the event of an error; without it, it is the
    error's envelope.
    """

    def __init__(
        self,
        source: AsyncGenerator[bytes, None],
        headers: Mapping[str, str],
        *,
        ping_s: float,
        stall_s: float,
        ping: bytes = PING,
        render_error: Callable[[HomeportError], Awaitable[bytes]] | None = None,
    ) -> None:
        super().__init__(source, headers, "text/event-stream", stall_s=stall_s)
        self._ping_s = ping_s
        self._ping_frame = ping
        self._render_event = render_error

    def _watches(self, writer: "_ResponseWriter") -> tuple[Coroutine[object, object, None], ...]:
        return (self._ping(writer), self._stall(writer))

    async def _render_error(self, error: Exception) -> bytes:
        reported = error_to_report(error)
        if reported is not error:
            _log.error("a stream broke", exc_info=error)
        shown = reported or EngineFailed("The server had an error while it answered.")
        return sse_event(envelope(shown)) if self._render_event is None else await self._render_event(shown)

    async def _ping(self, writer: "_ResponseWriter") -> None:
        """Send a comment after every silence, so that no proxy closes the stream of a slow model."""
        await writer.begun.wait()
        while True:
            left_s = self._ping_s - writer.idle_s
            if left_s <= 0 and not writer.is_writing:
                await writer.write(self._ping_frame)
            else:
                await asyncio.sleep(max(left_s, self._ping_s / 10))


class _ResponseWriter:
    """Writes to the client, one write at a time, and knows how long the stream has been silent."""

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
        """Seconds since a write last started or ended."""
        return self._clock() - self._last

    async def begin(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        await self._send({"type": "http.response.start", "status": status, "headers": headers})
        self._last = self._clock()
        self.begun.set()

    async def write(self, frames: bytes) -> None:
        """Send bytes, waiting while buffers are full. After the end nothing is sent."""
        while self.is_writing:  # rare, so it is cheaper than a lock for every token
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
