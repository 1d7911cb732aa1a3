"""One client connection: reads requests one at a time, within limits, and answers them in order.

uvicorn's server creates one `Connection` per client. Requests of a connection never run concurrently, so a connection
buffers at most one head, the unread part of one body, and one response.
"""

import asyncio
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.server import ServerState

from homeport.api.http.connection_pool import ConnectionPool
from homeport.api.http.request_reader import RequestReader, head_length
from homeport.api.http.send_buffer import SendBuffer
from homeport.api.http.transaction import Transaction
from homeport.api.http.transfer_rates import BodyRate
from homeport.api.request_context import with_refusal
from homeport.domain.errors import HomeportError, InvalidRequest, TooSlow

_UNREAD_BYTES = 65_536
"""Reading pauses while the application has left more of a body than this unread."""
_SCOPE = {
    "type": "http",
    "asgi": {"version": "3.0", "spec_version": "2.3"},
    "http_version": "1.1",
    "method": "OTHER",
    "scheme": "http",
    "path": "",
    "raw_path": b"",
    "root_path": "",
    "query_string": b"",
    "headers": (),
}
"""The scope of a request whose head cannot be read."""
_EARLY_S = (0.4, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2)
"""The pauses between checks whether a half-closed client is still connected."""


class Connection(SendBuffer):
    """One client's connection."""

    def __init__(
        self,
        pool: ConnectionPool,
        *,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(pool.now)
        self._pool = pool
        self._app: ASGIApp = config.loaded_app
        self._server = server_state
        del app_state  # of ASGI's lifespan, which is not used here
        self._loop = _loop or asyncio.get_running_loop()
        self._scope: dict[str, Any] = {}
        self._buffer = b""
        self._in_head = False
        self._incoming: RequestReader | None = None
        self._transaction: Transaction | None = None
        self._is_paused = False
        self._is_ended = False  # the client has closed its sending side
        self._drops_data = False  # further data is dropped
        self._lingers_until: float | None = None
        self._waiting_since = pool.now
        self._upload: BodyRate

    # Called by asyncio.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start, unless the limit of connections is reached."""
        super().connection_made(transport)
        peer = _address(transport, "peername")
        self._scope = {**_SCOPE, "client": peer, "server": _address(transport, "sockname")}
        self._server.connections.add(self)  # type: ignore[arg-type]  # uvicorn lists the classes of its own
        refusal = self._pool.admit(self, peer[0] if peer else "")
        if refusal is not None:
            self._is_ended = True  # the server does not wait for its request
            self._refuse(refusal)

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the running request."""
        super().connection_lost(exc)
        self._pool.discard(self)
        self._server.connections.discard(self)
        self._drops_data = True
        self._incoming = None
        self._buffer = b""
        if self._transaction is not None:
            self._transaction.disconnect()

    def data_received(self, data: bytes) -> None:
        """Parse what has arrived."""
        if not self._drops_data:
            self._read(self._buffer + data if self._buffer else data)

    def eof_received(self) -> bool:
        """Answer complete requests. Only a write shows whether the client is still connected."""
        self._is_ended = True
        is_answering = self._transaction is not None and self._incoming is None
        if is_answering:
            self._loop.call_later(_EARLY_S[0], self._probe, 1)
        return is_answering

    # Called by uvicorn's server and the pool.

    def shutdown(self) -> None:
        """Close once the running request has been answered."""
        if self._transaction is None:
            self._transport.close()
        else:
            self._transaction.keeps_alive = False

    @property
    def idle_since(self) -> float | None:
        """Since when no request has been running."""
        return self._waiting_since if self._transaction is None else None

    def check(self) -> None:
        """Enforce the timeouts: close the connection, or refuse the request that is too slow."""
        now, limits = self._pool.now, self._pool.limits
        if self._progress.measure_stall_s(now, self.unsent) > limits.stall_s or (self._lingers_until or now) < now:
            self.abort()
        elif self._incoming is not None:
            self._check_body()
        elif self._transaction is None and not self._drops_data:
            waited_s = now - self._waiting_since
            if self._in_head and waited_s > limits.head_s:
                self._refuse(TooSlow(f"The request line and headers did not arrive within {limits.head_s:g} s."))
            elif not self._in_head and waited_s > limits.idle_s:
                self._transport.close()

    def _check_body(self) -> None:
        transaction = self._transaction
        is_paused = self._is_paused or (transaction is not None and transaction.expects_continue)
        if self._upload.is_too_slow(self._pool.now, is_paused=is_paused):
            rate = self._pool.limits.body_rate
            self._break_off(TooSlow(f"The request body arrived at less than {rate:g} bytes per second."))

    # Called by the transaction.

    @property
    def default_headers(self) -> list[tuple[bytes, bytes]]:
        """Headers of every response."""
        return self._server.default_headers

    def resume_reading(self) -> None:
        """Resume reading, unless the next request is already buffered."""
        if self._is_paused and not (self._buffer and self._transaction):
            self._is_paused = False
            self._transport.resume_reading()

    def on_response_complete(self) -> None:
        """Continue with the next request, or close."""
        transaction, self._transaction = self._transaction, None
        self._server.total_requests += 1
        self._waiting_since = self._pool.now
        self.resume_reading()
        if transaction is None or not transaction.keeps_alive:
            self._close()
            return
        if self._buffer:
            self._read(self._buffer)
        if self._is_ended and self._transaction is None:
            self._transport.close()

    # Reading.

    def _read(self, data: bytes) -> None:
        self._buffer = b""
        while data and not self._drops_data:
            if self._incoming is not None:
                data = self._read_body(self._incoming, data)
            elif self._transaction is not None:  # the next request waits for its turn
                self._buffer = data
                self._pause_reading()
                return
            else:
                data = self._read_head(data)

    def _read_head(self, data: bytes) -> bytes:
        """Start the request at the beginning of `data` if its head is complete; return the rest of `data`."""
        data = data.lstrip(b"\r\n")  # RFC 9112, 2.2
        try:
            length = head_length(data)
            if length is None:
                if data and not self._in_head:
                    self._in_head, self._waiting_since = True, self._pool.now
                self._buffer = data
                return b""
            self._answer(RequestReader(data[:length]))
        except HomeportError as error:
            self._refuse(error)
            return b""
        return data[length:]

    def _read_body(self, incoming: RequestReader, data: bytes) -> bytes:
        """Read the part of the body in `data`; return the rest of `data`."""
        try:
            body, rest = incoming.feed(data)
        except InvalidRequest as error:
            self._break_off(error)
            return b""
        self._upload.n_new += len(body)
        transaction = self._transaction
        if incoming.is_complete:
            self._incoming, self._waiting_since = None, self._pool.now
            if incoming.has_more:
                self._drops_data = True
                if transaction is not None:
                    transaction.keeps_alive = False
                else:
                    self._close()
        if transaction is not None and (body or incoming.is_complete):
            transaction.add_body(body, more=not incoming.is_complete)
            if len(transaction.unread) > _UNREAD_BYTES:
                self._pause_reading()
        return rest

    def _pause_reading(self) -> None:
        if not self._is_paused:
            self._is_paused = True
            self._transport.pause_reading()

    # Answering.

    def _answer(self, incoming: RequestReader) -> None:
        self._in_head = False
        scope = self._scope | {
            "http_version": incoming.version,
            "method": incoming.method,
            "path": incoming.path,
            "raw_path": incoming.raw_path,
            "query_string": incoming.query,
            "headers": incoming.headers,
            "state": {},
        }
        transaction = Transaction(
            self, scope, keeps_alive=incoming.keeps_alive, expects_continue=incoming.expects_continue
        )
        if incoming.is_complete:
            transaction.add_body(b"", more=False)
        else:
            limits = self._pool.limits
            self._incoming = incoming
            self._upload = BodyRate(limits.body_rate, limits.body_grace_s, self._pool.now)
        self._start(transaction)

    def _refuse(self, error: HomeportError) -> None:
        """Refuse a request whose head is invalid, and stop reading."""
        self._drops_data = True
        self._buffer = b""
        transaction = Transaction(self, with_refusal(self._scope, error), keeps_alive=False)
        transaction.add_body(b"", more=False)
        self._start(transaction)

    def _start(self, transaction: Transaction) -> None:
        self._transaction = transaction
        task = self._loop.create_task(transaction.run(self._app))
        self._server.tasks.add(task)
        task.add_done_callback(self._server.tasks.discard)

    def _break_off(self, error: HomeportError) -> None:
        """End a body that will not arrive completely or cannot be parsed."""
        self._incoming = None
        self._drops_data = True
        if self._transaction is None or self._transaction.has_begun:
            self.abort()
        else:
            self._transaction.fail(error)

    def _probe(self, n_done: int) -> None:
        """Send a half-closed client one byte of the status line: if it is gone, a later byte fails."""
        if self._transaction is None or self._transport.is_closing() or not self._transaction.write_early():
            return
        if n_done < len(_EARLY_S):
            self._loop.call_later(_EARLY_S[n_done], self._probe, n_done + 1)

    def _close(self) -> None:
        """Close; if the client is still sending, give it time to read the response first."""
        if self._is_ended or (self._incoming is None and not self._drops_data):
            self._transport.close()
            return
        self._drops_data = True
        self._incoming = None
        self._lingers_until = self._pool.now + self._pool.limits.linger_s
        self._transport.write_eof()


def _address(transport: asyncio.BaseTransport, which: str) -> tuple[str, int] | None:
    found = transport.get_extra_info(which)
    return (str(found[0]), int(found[1])) if isinstance(found, tuple) else None
