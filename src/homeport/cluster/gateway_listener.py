"""Listens for gateways on a TCP port, and lets in who knows the secret. Knows nothing of what they send then.

Who does not is closed and logged. At most `_MAX_HANDSHAKES` at a time are waited for, each for `_HANDSHAKE_S` at most.
"""

import asyncio
import logging
import socket
import time
from collections.abc import Awaitable, Callable

from homeport.cluster.handshake import HandshakeFailed, accept_gateway, prepare_socket

_log = logging.getLogger(__name__)

_HANDSHAKE_S = 5.0
_MAX_HANDSHAKES = 64
_BACKLOG = 128
_RETRY_S = 0.1
_LOG_S = 1.0
"""At most one refusal in this time is logged, so that a scan of ports fills no disk."""

OnGateway = Callable[[socket.socket, str], Awaitable[None]]


class GatewayListener:
    """One listening socket. `on_gateway` takes over the socket of each gateway, with its address as text."""

    def __init__(self, secret: bytes, on_gateway: OnGateway, handshake_s: float = _HANDSHAKE_S) -> None:
        self.port = 0
        self._secret = secret
        self._on_gateway = on_gateway
        self._handshake_s = handshake_s
        self._socket: socket.socket | None = None
        self._accepting: asyncio.Task[None] | None = None
        self._handshakes: set[asyncio.Task[None]] = set()
        self._log_again_at = 0.0
        self._n_unlogged = 0

    async def start(self, host: str, port: int) -> None:
        """Listen on an address. Raises OSError."""
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, address = found[0]
        self._socket = socket.create_server(address[:2], family=family, backlog=_BACKLOG)
        self._socket.setblocking(False)
        self.port = self._socket.getsockname()[1]
        self._accepting = asyncio.create_task(self._accept(self._socket))

    async def close(self) -> None:
        """Stop listening, and close the connections that were not let in yet. Safe to call twice."""
        tasks = [*self._handshakes, *([self._accepting] if self._accepting else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._socket is not None:
            self._socket.close()

    async def _accept(self, listening: socket.socket) -> None:
        while True:
            try:
                sock, address = await asyncio.get_running_loop().sock_accept(listening)
            except OSError as error:  # out of files, for example: a later attempt may succeed
                _log.error("no gateway can connect: %s", error)
                await asyncio.sleep(_RETRY_S)
                continue
            if len(self._handshakes) >= _MAX_HANDSHAKES:
                sock.close()
                continue
            task = asyncio.create_task(self._let_in(sock, f"{address[0]}:{address[1]}"))
            self._handshakes.add(task)
            task.add_done_callback(self._handshakes.discard)

    async def _let_in(self, sock: socket.socket, name: str) -> None:
        try:
            prepare_socket(sock)
            async with asyncio.timeout(self._handshake_s):
                await accept_gateway(sock, self._secret)
            await self._on_gateway(sock, name)
        except TimeoutError:
            self._refuse(sock, name, f"no proof came within {self._handshake_s:g} s")
        except (HandshakeFailed, OSError) as error:
            self._refuse(sock, name, str(error))
        except BaseException:
            sock.close()
            raise

    def _refuse(self, sock: socket.socket, name: str, reason: str) -> None:
        sock.close()
        now = time.monotonic()
        if now < self._log_again_at:
            self._n_unlogged += 1
            return
        more = f" ({self._n_unlogged} more since the last such line)" if self._n_unlogged else ""
        self._log_again_at, self._n_unlogged = now + _LOG_S, 0
        _log.warning("a connection from %s is no gateway: %s%s", name, reason, more)
