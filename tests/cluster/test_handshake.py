"""The handshake on its own: two ends of a socket."""

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from homeport.cluster import handshake
from homeport.cluster.gateway_listener import GatewayListener
from homeport.cluster.handshake import HandshakeFailed, connect_to_host
from homeport.cluster.messages import LINK_VERSION
from tests.serving.conftest import DEADLINE_S, until

SECRET = b"s" * 32


class Listening:
    """A listener and the gateways that it let in."""

    def __init__(self) -> None:
        self.let_in: list[socket.socket] = []
        self.listener = GatewayListener(SECRET, self._take, handshake_s=0.2)

    async def _take(self, sock: socket.socket, _: str) -> None:
        self.let_in.append(sock)


@pytest.fixture
async def listening() -> AsyncIterator[Listening]:
    """Yield a listener on loopback."""
    found = Listening()
    await found.listener.start("127.0.0.1", 0)
    yield found
    await found.listener.close()
    for sock in found.let_in:
        sock.close()


async def connect(port: int, secret: bytes = SECRET) -> socket.socket:
    """Connect as a gateway."""
    async with asyncio.timeout(DEADLINE_S):
        return await connect_to_host(("127.0.0.1", port), secret)


async def test_a_gateway_is_let_in(listening: Listening) -> None:
    """Who knows the secret is let in, and both sides read exactly the handshake: what follows is untouched."""
    sock = await connect(listening.listener.port)
    await until(lambda: listening.let_in)
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(sock, b"up")
    await loop.sock_sendall(listening.let_in[0], b"down")
    assert await loop.sock_recv(listening.let_in[0], 9) == b"up"
    assert await loop.sock_recv(sock, 9) == b"down"
    sock.close()


async def test_a_wrong_secret(listening: Listening, caplog: pytest.LogCaptureFixture) -> None:
    """Who does not know the secret is closed, and the log says why, once a second at most."""
    for _ in range(5):
        with pytest.raises(HandshakeFailed, match="closed the connection"):
            await connect(listening.listener.port, b"w" * 32)
    assert listening.let_in == []
    assert caplog.text.count("does not know the secret") == 1


async def test_silence_is_closed(listening: Listening, caplog: pytest.LogCaptureFixture) -> None:
    """Who sends no proof in time is closed."""
    with socket.create_connection(("127.0.0.1", listening.listener.port)) as silent:
        await until(lambda: "no proof came" in caplog.text)
        silent.settimeout(DEADLINE_S)
        while await asyncio.to_thread(silent.recv, 4096):
            pass
    assert listening.let_in == []


async def test_another_version(listening: Listening, monkeypatch: pytest.MonkeyPatch) -> None:
    """A gateway does not talk to a replica that speaks another version of the link, and says which."""
    greeting = handshake._GREETING.pack(handshake.MAGIC, LINK_VERSION + 1, b"n" * 32)
    monkeypatch.setattr(handshake, "_GREETING", Fixed(greeting))
    with pytest.raises(HandshakeFailed, match="version"):
        await connect(listening.listener.port)


class Fixed:
    """A greeting that is always the same."""

    def __init__(self, greeting: bytes) -> None:
        self.size = len(greeting)
        self._greeting = greeting
        self._unpack = handshake._GREETING.unpack

    def pack(self, *_: object) -> bytes:
        """Return the greeting."""
        return self._greeting

    def unpack(self, data: bytes) -> tuple[object, ...]:
        """Read a greeting."""
        return self._unpack(data)


async def test_an_impostor_gets_no_request() -> None:
    """A gateway refuses a host that does not prove that it knows the secret, or that is no replica at all."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        for greeting, proof, reason in (
            (b"SSH-2.0-x".ljust(42, b"\n"), b"", "no replica"),
            (handshake._GREETING.pack(handshake.MAGIC, LINK_VERSION, b"n" * 32), b"p" * 32, "the secret"),
        ):
            impostor = asyncio.create_task(asyncio.to_thread(serve_once, server, greeting + proof))
            with pytest.raises(HandshakeFailed, match=reason):
                await connect(server.getsockname()[1])
            await impostor


def serve_once(server: socket.socket, data: bytes) -> None:
    """Accept one connection, send bytes, and wait until the other side closes."""
    sock, _ = server.accept()
    with sock:
        sock.settimeout(DEADLINE_S)
        sock.sendall(data)
        try:
            while sock.recv(4096):
                pass
        except ConnectionResetError:
            return
