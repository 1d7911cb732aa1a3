"""How local tools find a running server: one file per port, readable by its user alone.

`serve` writes `<home>/run/<port>.json` when it listens and removes it when it ends. The file holds a random token
that the server's `/admin` accepts, so whoever may read the user's files may manage the user's server, and nobody
else. A file whose process is gone is ignored. Knows nothing of HTTP.
"""

import contextlib
import os
import secrets
from pathlib import Path

import msgspec
import psutil

from homeport.formats import durable_files

_DRIFT_S = 3600.0
"""A process's birth is counted from the machine's boot, which moves on the clock whenever the clock is set."""


class RunningServer(msgspec.Struct, frozen=True):
    """A server that runs now. `url` has no `/v1`; `born` tells its process from a later one with the same id."""

    url: str
    port: int
    token: str
    pid: int
    born: float

    @property
    def is_alive(self) -> bool:
        """Whether that very process still exists."""
        try:
            return abs(psutil.Process(self.pid).create_time() - self.born) < _DRIFT_S
        except psutil.NoSuchProcess:
            return False


def fresh_token() -> str:
    """A token nobody can guess."""
    return secrets.token_urlsafe(32)


def publish(home: Path, url: str, port: int, token: str | None = None) -> RunningServer:
    """Say that this process serves `url` and that its `/admin` takes `token` (None: a fresh one)."""
    running = RunningServer(url, port, token or fresh_token(), os.getpid(), psutil.Process().create_time())
    folder = home / "run"
    durable_files.make_folder(folder)
    durable_files.replace_file(folder / f"{port}.json", msgspec.json.encode(running))
    return running


def withdraw(home: Path, running: RunningServer) -> None:
    """Remove the file, unless another server has taken the port since."""
    path = home / "run" / f"{running.port}.json"
    if _read(path) == running:
        path.unlink(missing_ok=True)


def find(home: Path, *, port: int | None = None, pid: int | None = None) -> RunningServer | None:
    """Find the running server, on this port or of this process where given; None if there is none."""
    for path in sorted((home / "run").glob("*.json")):
        running = _read(path)
        if running and port in (None, running.port) and pid in (None, running.pid) and running.is_alive:
            return running
    return None


def _read(path: Path) -> RunningServer | None:
    # A half-removed or foreign file is as good as none: a tool then says that no server runs.
    with contextlib.suppress(OSError, msgspec.DecodeError):
        return msgspec.json.decode(path.read_bytes(), type=RunningServer)
    return None
