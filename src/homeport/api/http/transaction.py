"""One request and its response, with ASGI's `receive` and `send` on one side and bytes on the other.

Knows nothing of parsing or of limits. Responses are framed as in RFC 9112: by their length if it is known, else in
chunks, or for HTTP/1.0 by closing the connection.
"""

import asyncio
import logging
from http import HTTPStatus
from typing import Protocol

from starlette.types import ASGIApp, Message, Scope

from homeport.api.error_responses import error_response
from homeport.domain.errors import HomeportError

_log = logging.getLogger("homeport.errors")

_VERSION = b"HTTP/1.1 "
_LINES = {each.value: _VERSION + f"{each.value} {each.phrase}\r\n".encode() for each in HTTPStatus}
_NO_BODY = (204, 304)


class Channel(Protocol):
    """The part of the connection that a response needs. `is_blocked`: the buffer is full."""

    is_blocked: bool

    @property
    def default_headers(self) -> list[tuple[bytes, bytes]]:
        """Headers of every response."""

    def write(self, data: bytes) -> None:
        """Send bytes, or buffer them until the client reads."""

    async def wait_until_drained(self) -> None:
        """Wait until the buffer is nearly empty."""

    def resume_reading(self) -> None:
        """Resume reading if it was paused because nobody read the body."""

    def on_response_complete(self) -> None:
        """Called when the response is complete."""

    def abort(self) -> None:
        """Close at once; what is not sent yet is lost."""


class Transaction:
    """One request and its response. `is_gone`: the client has disconnected."""

    def __init__(self, channel: Channel, scope: Scope, *, keeps_alive: bool, expects_continue: bool = False) -> None:
        self.scope = scope
        self.keeps_alive = keeps_alive
        self.has_begun = False
        self.is_complete = False
        self.is_gone = False
        self.expects_continue = expects_continue
        self.unread = bytearray()
        self._channel = channel
        self._changed = asyncio.Event()
        self._more_to_come = True
        self._failure: HomeportError | None = None
        self._n_early = 0
        self._is_chunked = False
        self._has_body = True
        self._left: int | None = None

    async def run(self, app: ASGIApp) -> None:
        """Run the application; afterwards the response is complete, or the connection is closed."""
        try:
            await app(self.scope, self.receive, self.send)
            if not self.is_complete and not self.is_gone and self.has_begun:
                self._channel.abort()
                return
        except Exception:
            _log.exception("a response ended with an error")
            if self.has_begun:
                self._channel.abort()
                return
        except BaseException:
            self._channel.abort()
            raise
        if not self.has_begun and not self.is_gone:
            self.keeps_alive = self._is_chunked = False
            await error_response(HomeportError("The server had an error."))(self.scope, self.receive, self.send)

    def add_body(self, body: bytes, *, more: bool) -> None:
        """Add a part of the request's body."""
        self.unread += body
        self._more_to_come = more
        self._changed.set()

    def fail(self, error: HomeportError) -> None:
        """Fail the request body: `receive` raises this error."""
        self._failure = error
        self.keeps_alive = False
        self._changed.set()

    def disconnect(self) -> None:
        """Record that the connection is lost."""
        self.is_gone = True
        self._changed.set()

    async def receive(self) -> Message:
        """ASGI's `receive`. Raises the error given to `fail`."""
        if self.expects_continue and not self.has_begun:
            self.expects_continue = False
            self._channel.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if not self.is_gone and not self.is_complete:
            self._channel.resume_reading()
            await self._changed.wait()
            self._changed.clear()
        if self._failure is not None:
            raise self._failure
        if self.is_gone or self.is_complete:
            return {"type": "http.disconnect"}
        body, self.unread = bytes(self.unread), bytearray()
        return {"type": "http.request", "body": body, "more_body": self._more_to_come}

    async def send(self, message: Message) -> None:
        """ASGI's `send`: waits while the buffer is full, and discards data once the client is gone."""
        if self._channel.is_blocked and not self.is_gone:
            await self._channel.wait_until_drained()
        if self.is_gone:
            return
        if message["type"] == "http.response.body" and self.has_begun and not self.is_complete:
            self._write_body(message.get("body", b""), more=message.get("more_body", False))
        elif message["type"] == "http.response.start" and not self.has_begun:
            self._write_head(message)
        else:
            raise RuntimeError(f"unexpected {message['type']}")

    def write_early(self) -> bool:
        """Send one more byte of the common beginning of all responses; False if none is left."""
        if self.has_begun or self._n_early == len(_VERSION):
            return False
        self._channel.write(_VERSION[self._n_early : self._n_early + 1])
        self._n_early += 1
        return True

    def _write_head(self, message: Message) -> None:
        if self.expects_continue:  # the client may send its body or not
            self.keeps_alive = False
        status, is_old = message["status"], self.scope["http_version"] == "1.0"
        self._has_body = self.scope["method"] != "HEAD" and status not in _NO_BODY
        headers = [*self._channel.default_headers, *message.get("headers", ())]
        length = next((value for name, value in headers if name == b"content-length"), None)
        if length is not None:
            self._left = int(length)
        elif self._has_body and is_old:
            self.keeps_alive = False
        elif self._has_body:
            self._is_chunked = True
            headers.append((b"transfer-encoding", b"chunked"))
        if not self.keeps_alive:
            headers.append((b"connection", b"close"))
        block = b"".join([b"%b: %b\r\n" % header for header in headers])
        if block.count(b"\n") != len(headers) or block.count(b"\r") != len(headers):
            raise RuntimeError("a header of the response contains a line end")
        self.has_begun = True
        self._channel.write(_LINES[status][self._n_early :] + block + b"\r\n")

    def _write_body(self, body: bytes, *, more: bool) -> None:
        if self._is_chunked:
            part = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            body = part if more else part + b"0\r\n\r\n"
        elif not self._has_body:
            body = b""
        elif self._left is not None:
            self._left -= len(body)
            if self._left < 0 or (self._left and not more):
                raise RuntimeError("the length of the response's body differs from its content-length")
        if body:
            self._channel.write(body)
        if not more:
            self.is_complete = True
            self._changed.set()
            self._channel.on_response_complete()
