"""Who may use a replica's port: each side proves that it knows the replica's secret before the first frame.

The host sends a greeting with a random nonce; the gateway answers with a nonce of its own and a proof; the host answers
with its own proof. A proof is an HMAC over both nonces, so neither can be replayed, and the secret never crosses the
link. What follows is neither encrypted nor signed: a cluster's network must be private. Knows nothing of frames.
"""

import asyncio
import hashlib
import hmac
import secrets
import socket
import struct

from homeport.cluster.messages import LINK_VERSION

MAGIC = b"homeport"
NONCE_BYTES = 32
_GREETING = struct.Struct(f">{len(MAGIC)}sH{NONCE_BYTES}s")
_PROOF_BYTES = hashlib.sha256().digest_size


class HandshakeFailed(Exception):
    """The other side is not what it should be; the message says why."""


async def accept_gateway(sock: socket.socket, secret: bytes) -> None:
    """Complete the handshake on a host's side. Raises HandshakeFailed or OSError; the caller limits the time."""
    loop = asyncio.get_running_loop()
    nonce = secrets.token_bytes(NONCE_BYTES)
    await loop.sock_sendall(sock, _GREETING.pack(MAGIC, LINK_VERSION, nonce))
    answer = await _receive(sock, NONCE_BYTES + _PROOF_BYTES)
    theirs, proof = answer[:NONCE_BYTES], answer[NONCE_BYTES:]
    if not hmac.compare_digest(proof, _proof(secret, b"gateway", nonce, theirs)):
        raise HandshakeFailed("it does not know the secret")
    await loop.sock_sendall(sock, _proof(secret, b"host", nonce, theirs))


async def connect_to_host(address: tuple[str, int], secret: bytes) -> socket.socket:
    """Connect, and complete the handshake on a gateway's side. Raises as `accept_gateway` does."""
    loop = asyncio.get_running_loop()
    name, port = address
    family, kind, protocol, _, target = (await loop.getaddrinfo(name, port, type=socket.SOCK_STREAM))[0]
    sock = socket.socket(family, kind, protocol)
    try:
        prepare_socket(sock)
        await loop.sock_connect(sock, target)
        magic, version, nonce = _GREETING.unpack(await _receive(sock, _GREETING.size))
        if magic != MAGIC:
            raise HandshakeFailed("it is no replica")
        if version != LINK_VERSION:
            raise HandshakeFailed(f"it speaks version {version} of the link, and this gateway {LINK_VERSION}")
        ours = secrets.token_bytes(NONCE_BYTES)
        await loop.sock_sendall(sock, ours + _proof(secret, b"gateway", nonce, ours))
        if not hmac.compare_digest(await _receive(sock, _PROOF_BYTES), _proof(secret, b"host", nonce, ours)):
            raise HandshakeFailed("it does not know the secret")
    except BaseException:
        sock.close()
        raise
    return sock


def prepare_socket(sock: socket.socket) -> None:
    """Set a TCP socket up for a link: non-blocking, and small frames leave at once."""
    sock.setblocking(False)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _proof(secret: bytes, side: bytes, host_nonce: bytes, gateway_nonce: bytes) -> bytes:
    return hmac.digest(secret, side + struct.pack(">H", LINK_VERSION) + host_nonce + gateway_nonce, "sha256")


async def _receive(sock: socket.socket, size: int) -> bytes:
    """Receive exactly `size` bytes: not one of the frames that follow."""
    data = b""
    while len(data) < size:
        piece = await asyncio.get_running_loop().sock_recv(sock, size - len(data))
        if not piece:
            raise HandshakeFailed("it closed the connection")
        data += piece
    return data
