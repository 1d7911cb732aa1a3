"""The HTTP server: binds the address, serves until a signal, drains, and exits.

Knows uvicorn and signals, but no routes or models. The first SIGTERM or SIGINT calls `drain` (new requests are refused,
running ones finish) and then closes; the second ends the process at once. `http` reads and writes on connections.
"""

import asyncio
import logging
import os
import resource
import signal
import socket
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from types import FrameType
from typing import Any, cast

import uvicorn
from starlette.types import ASGIApp
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from homeport.api.http.connection import Connection
from homeport.api.http.connection_pool import ConnectionPool
from homeport.api.http.limits import ConnectionLimits
from homeport.api.http.memory_trimmer import MemoryTrimmer
from homeport.domain.errors import Unavailable

_log = logging.getLogger("homeport.errors")

_CLOSE_S = 5
"""How long connections may still write once every request has ended."""
_CHECK_TICKS = 5
"""uvicorn's ticks of a tenth of a second between two checks of the connections."""
_DESCRIPTOR_SHARE = 0.75
"""The share of this process's file descriptors that connections may use."""


class HttpServer(uvicorn.Server):
    """A server on one address. `on_listening` receives the port in use; `drain` is awaited before the exit."""

    def __init__(
        self,
        app: ASGIApp,
        host: str,
        port: int,
        *,
        on_listening: Callable[[int], None],
        drain: Callable[[], Awaitable[None]],
        limits: ConnectionLimits | None = None,
    ) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                host=host,
                port=port,
                http=cast("type[asyncio.Protocol]", self._connection),
                ws="none",
                log_config=None,
                access_log=False,
                server_header=False,
                date_header=True,
                timeout_graceful_shutdown=_CLOSE_S,
                lifespan="off",
                backlog=2048,
            )
        )
        proxies = ProxyHeadersMiddleware(cast("Any", app), self.config.forwarded_allow_ips).trusted_hosts
        self._pool = ConnectionPool(
            _within_descriptors(limits or ConnectionLimits()), time.monotonic, lambda address: address in proxies
        )
        self._trimmer = MemoryTrimmer()
        self._on_listening = on_listening
        self._drain = drain
        self._draining: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def run_here(self) -> None:
        """Serve on the running loop until a signal. Raises Unavailable if the address cannot be bound."""
        self._loop = asyncio.get_running_loop()
        try:
            await self.serve()
        except SystemExit as ended:  # raised by uvicorn if it cannot bind; it has logged why
            raise Unavailable(f"Cannot listen on {self.config.host}:{self.config.port}.") from ended

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Bind the address and report the port."""
        await super().startup(sockets)
        if self.started and self.servers:
            [first, *_] = self.servers[0].sockets
            self._on_listening(int(first.getsockname()[1]))

    async def on_tick(self, counter: int) -> bool:
        """Check the connections regularly, in addition to what uvicorn does."""
        if counter % _CHECK_TICKS == 0:
            try:
                self._check_connections()
            except Exception:  # an error raised from here would end the server
                _log.exception("checking the connections failed")
        return await super().on_tick(counter)

    def _check_connections(self) -> None:
        self._pool.check_all()
        state = self.server_state
        self._trimmer.trim_if_idle(self._pool.now, state.total_requests, is_idle=not state.tasks)

    def _connection(self, **given: Any) -> Connection:
        return Connection(self._pool, **given)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Drain at the first signal; end at the second."""
        del frame
        if self._draining is not None or self._loop is None:
            os._exit(128 + signal.Signals(sig).value)
        self._loop.call_soon_threadsafe(self._begin_drain)

    def _begin_drain(self) -> None:
        if self._draining is None:
            self._draining = asyncio.ensure_future(self._end_after_drain())

    async def _end_after_drain(self) -> None:
        try:
            await self._drain()
        finally:
            self.should_exit = True


def _within_descriptors(limits: ConnectionLimits) -> ConnectionLimits:
    soft_limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    maximum = limits.connections if soft_limit == resource.RLIM_INFINITY else int(soft_limit * _DESCRIPTOR_SHARE)
    return replace(limits, connections=min(limits.connections, maximum))
