"""Sends bytes over a socket that no HTTP library would send, and reads the response."""

import socket
from collections.abc import Sequence
from urllib.parse import urlsplit

import msgspec

LIMIT_S = 20.0


def connect(address: str) -> socket.socket:
    """Connect to a server, `http://host:port`."""
    parts = urlsplit(address)
    return socket.create_connection((str(parts.hostname), int(parts.port or 80)), timeout=LIMIT_S)


def rest(line: socket.socket) -> bytes:
    """Read everything until the server closes, or until a reset."""
    found = b""
    try:
        while part := line.recv(65_536):
            found += part
    except ConnectionResetError:
        pass
    return found


def exchange(address: str, sent: bytes | Sequence[bytes], *, ends: bool = False) -> bytes:
    """Send bytes (several pieces as several segments), optionally close the sending side, and read everything."""
    with connect(address) as line:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in [sent] if isinstance(sent, bytes) else sent:
            line.sendall(piece)
        if ends:
            line.shutdown(socket.SHUT_WR)
        return rest(line)


def response(line: socket.socket) -> tuple[int, dict[str, str], bytes]:
    """Read one response with a declared length from a connection that stays open: status, headers, body."""
    found = b""
    while b"\r\n\r\n" not in found:
        part = line.recv(65_536)
        assert part, found
        found += part
    head, _, body = found.partition(b"\r\n\r\n")
    status, headers = parsed(head)
    while len(body) < int(headers.get("content-length", "0")):
        body += line.recv(65_536)
    return status, headers, body


def parsed(head: bytes) -> tuple[int, dict[str, str]]:
    """Return status and headers of a response's head."""
    first, *lines = head.decode("latin-1").split("\r\n")
    return int(first.split()[1]), dict(line.lower().split(": ", 1) for line in lines)


def refusal(answered: bytes) -> tuple[int, dict[str, object]]:
    """Return status and error of a response that closes the connection and has the usual headers."""
    head, _, body = answered.partition(b"\r\n\r\n")
    status, headers = parsed(head)
    assert headers["connection"] == "close"
    assert headers["x-request-id"].startswith("req_")
    error: dict[str, object] = msgspec.json.decode(body)["error"]
    assert set(error) == {"message", "type", "param", "code"}
    return status, error
