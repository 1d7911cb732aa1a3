"""A bare HTTP client for tests that must control the connection: send, read some, hang up."""

import json
import socket
from typing import Any

from tests.system.server import ServerProcess


class RawConnection:
    """One connection with one request on it. Close it at any moment with `hang_up`."""

    def __init__(self, server: ServerProcess, path: str, body: Any) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        head = (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nContent-Type: application/json\r\n"
            f"Authorization: Bearer x\r\nConnection: close\r\nContent-Length: {len(data)}\r\n\r\n"
        )
        self._socket = socket.create_connection(("127.0.0.1", server.port), timeout=120)
        self._file = self._socket.makefile("rb")
        self._socket.sendall(head.encode() + data)

    def line(self) -> bytes:
        """The next line of the answer; empty at its end."""
        return self._file.readline()

    def events(self, count: int | None = None) -> list[Any]:
        """The next `count` data events (all, by default), decoded; `[DONE]` as the string."""
        found: list[Any] = []
        while count is None or len(found) < count:
            line = self.line()
            if not line:
                break
            if line.startswith(b"data: "):
                data = line[6:].strip()
                found.append("[DONE]" if data == b"[DONE]" else json.loads(data))
        return found

    def status(self) -> int:
        """Read the status line and the headers."""
        status = int(self.line().split()[1])
        while self.line() not in (b"\r\n", b""):
            pass
        return status

    def rest(self) -> bytes:
        """Return everything until the server closes the connection."""
        return self._file.read()

    def hang_up(self) -> None:
        """Close both ways at once, as a killed client does."""
        self._file.close()
        self._socket.close()
