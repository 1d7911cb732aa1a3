"""The run file, by which local commands find a running server: one per port, readable by its user only.

`serve` writes `<home>/run/<port>.json` when it listens and removes it when it ends. The file holds a random token that
the server accepts as a key, also for `/admin`, so only a process that can read the user's files can manage the server.
A file whose process has ended is ignored. Knows nothing of HTTP.
"""

import contextlib
import os
import secrets
from pathlib import Path

import msgspec
import psutil

from homeport.formats import atomic, durable_files

_MAX_CLOCK_DRIFT_S = 3600.0
"""A process's start is measured from the machine's boot, whose time changes whenever the clock is set."""


class RunningServer(msgspec.Struct, frozen=True):
    """A running server. `url` has no `/v1`. `born`, the start of its process, excludes a later one with the same id."""

    url: str
    port: int
    token: str
    pid: int
    born: float

    @property
    def is_alive(self) -> bool:
        """Whether its process still exists."""
        try:
            return abs(psutil.Process(self.pid).create_time() - self.born) < _MAX_CLOCK_DRIFT_S
        except psutil.NoSuchProcess:
            return False


def fresh_token() -> str:
    """Return a random token."""
    return secrets.token_urlsafe(32)


def publish(home: Path, url: str, port: int, token: str | None = None) -> RunningServer:
    """Write the run file of this process, which serves `url` and accepts `token` (None: a fresh one)."""
    server = RunningServer(url, port, token or fresh_token(), os.getpid(), psutil.Process().create_time())
    folder = home / "run"
    durable_files.make_folder(folder)
    atomic.write_file(folder / f"{port}.json", msgspec.json.encode(server))
    return server


def withdraw(home: Path, server: RunningServer) -> None:
    """Remove the run file, unless another server has taken the port since."""
    path = home / "run" / f"{server.port}.json"
    if _read(path) == server:
        path.unlink(missing_ok=True)


def find(home: Path, *, port: int | None = None, pid: int | None = None) -> RunningServer | None:
    """Find a running server, of this port or process if given; None if there is none."""
    for path in sorted((home / "run").glob("*.json")):
        server = _read(path)
        if server and port in (None, server.port) and pid in (None, server.pid) and server.is_alive:
            return server
    return None


def _read(path: Path) -> RunningServer | None:
    # A partial or foreign file counts as none: the command then reports that no server runs.
    with contextlib.suppress(OSError, msgspec.DecodeError):
        return msgspec.json.decode(path.read_bytes(), type=RunningServer)
    return None
