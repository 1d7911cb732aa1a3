"""The HTTP server itself: binds the address, answers until told to stop, drains, ends.

Knows uvicorn and signals; knows nothing of routes or models. The first SIGTERM or SIGINT calls `drain` (new requests
are refused, running ones finish) and then closes; the second ends the process at once.
"""

import asyncio
import os
import signal
import socket
from collections.abc import Awaitable, Callable
from types import FrameType

import uvicorn
from starlette.types import ASGIApp
from uvicorn._types import ASGIApplication

from homeport.domain.errors import Unavailable

_CLOSE_S = 5
"""How long connections that still write get once every request has ended."""


class Listener(uvicorn.Server):
    """One server on one address. `on_listening` gets the port in use; `drain` is awaited before the end."""

    def __init__(
        self,
        app: ASGIApp,
        host: str,
        port: int,
        *,
        on_listening: Callable[[int], None],
        drain: Callable[[], Awaitable[None]],
    ) -> None:
        application: ASGIApplication = app  # type: ignore[assignment]  # the two libraries spell one protocol twice
        super().__init__(
            uvicorn.Config(
                application,
                host=host,
                port=port,
                log_config=None,
                access_log=False,
                server_header=False,
                date_header=True,
                timeout_keep_alive=75,
                timeout_graceful_shutdown=_CLOSE_S,
                lifespan="off",
                backlog=2048,
            )
        )
        self._on_listening = on_listening
        self._drain = drain
        self._draining: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def run_here(self) -> None:
        """Serve on the running loop until a signal. Raises Unavailable where the address cannot be had."""
        self._loop = asyncio.get_running_loop()
        try:
            await self.serve()
        except SystemExit as ended:  # how uvicorn says that it could not bind; it has logged why
            raise Unavailable(f"Cannot listen on {self.config.host}:{self.config.port}.") from ended

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Bind, then say so."""
        await super().startup(sockets)
        if self.started and self.servers:
            [first, *_] = self.servers[0].sockets
            self._on_listening(int(first.getsockname()[1]))

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
