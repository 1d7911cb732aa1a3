"""An application behind the real HTTP server on loopback, in a thread of its own."""

import contextlib
import threading
from collections.abc import Iterator

import uvloop
from starlette.types import ASGIApp

from homeport.api.http.limits import ConnectionLimits
from homeport.api.http_server import HttpServer


async def _nothing() -> None:
    """Do nothing: there is nothing to drain."""


@contextlib.contextmanager
def served(app: ASGIApp, limits: ConnectionLimits | None = None, host: str = "127.0.0.1") -> Iterator[str]:
    """Serve `app` while the block runs; yield its address, `http://127.0.0.1:<port>`."""
    ports: list[int] = []
    is_listening = threading.Event()

    def on_listening(port: int) -> None:
        ports.append(port)
        is_listening.set()

    server = HttpServer(app, host, 0, on_listening=on_listening, drain=_nothing, limits=limits)
    thread = threading.Thread(target=lambda: uvloop.run(server.run_here()))
    thread.start()
    try:
        assert is_listening.wait(20), "the server did not start"
        yield f"http://127.0.0.1:{ports[0]}"
    finally:
        server.should_exit = True
        thread.join(20)
        assert not thread.is_alive(), "the server did not stop"
