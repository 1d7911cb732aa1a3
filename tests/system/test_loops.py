"""Background loops of a whole server fail when a resource is removed, and recover. Shortened in `make test`."""

import http.client
import itertools
import socket
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest

from homeport.app import admin_commands
from homeport.domain.usage import UsageQuery
from homeport.settings import Settings, load
from homeport.store.database import Database
from homeport.store.usage import SqlUsageRepository
from tests.conftest import Scale
from tests.system.server import ServerProcess, running

pytestmark = pytest.mark.soak

MODEL = "smollm2-135m"
ADMIN = {"Authorization": "Bearer admin"}
QUICK = {"keys": "revisions", "usage": "journals", "batches": "batches", "fine_tuning": "fine_tunes"}
SLOW = {"uploads": "uploads", "files": "files"}
"""The table that each loop needs; the slow ones run once a minute."""


@pytest.fixture
def keyed_server(tmp_path: Path, smollm2: Path) -> Iterator[ServerProcess]:
    """A server with keys and a database of its own."""
    assert smollm2.exists()
    settings = {"API_KEYS": "test", "ADMIN_KEY": "admin", "HEARTBEAT_S": "0.5"}
    with running(tmp_path / "log", "--model", MODEL, **settings) as started:
        yield started


def _database(tmp_path: Path) -> Path:
    return tmp_path / "kept" / "homeport.db"


def _settings(tmp_path: Path) -> Settings:
    """Return the settings of another process on the same database."""
    return load({"database_url": f"sqlite:///{_database(tmp_path)}"})


def _complete(server: ServerProcess, key: str = "test") -> int:
    body = {"model": MODEL, "prompt": "Once", "max_tokens": 1}
    return server.call("POST", "/v1/completions", body, {"Authorization": f"Bearer {key}"}).status


def _key(server: ServerProcess) -> tuple[str, str]:
    made = server.call("POST", "/admin/v1/keys", {"name": "bot"}, ADMIN).json()
    return made["id"], made["secret"]


def _failing(server: ServerProcess) -> list[str]:
    said = server.call("GET", "/health/ready").json()
    return list(said.get("failing", ["all"] if "error" in said else []))


def _execute(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path, timeout=30)) as connection:
        connection.execute(statement)
        connection.commit()


@contextmanager
def _without(path: Path, table: str) -> Iterator[None]:
    _execute(path, f"ALTER TABLE {table} RENAME TO away")
    try:
        yield
    finally:
        _execute(path, f"ALTER TABLE away RENAME TO {table}")


def _number(server: ServerProcess, loop: str) -> float:
    return _metric(server.call("GET", "/metrics").body.decode(), loop)


def _metric(text: str, loop: str) -> float:
    [line] = [
        each for each in text.splitlines() if each.startswith(f'homeport:background_loop_failures_total{{loop="{loop}"')
    ]
    return float(line.rsplit(" ", 1)[1])


def test_every_loop_recovers_after_it_has_failed(keyed_server: ServerProcess, tmp_path: Path, scale: Scale) -> None:
    """Each loop in turn fails, is reported by `/health/ready` and counted, and recovers."""
    path = _database(tmp_path)
    loops = QUICK | SLOW if scale(0, 1) else QUICK
    id, secret = _key(keyed_server)
    for loop, table in loops.items():
        assert _complete(keyed_server) == 200  # so that there is usage to import
        with _without(path, table):
            keyed_server.wait(f"{loop} fails", lambda loop=loop: loop in _failing(keyed_server), 90)
            assert _number(keyed_server, loop) >= 1
        keyed_server.wait(f"{loop} works again", lambda: not _failing(keyed_server), 90)
    assert _complete(keyed_server, secret) == 200
    admin_commands.revoke_key(_settings(tmp_path), id)
    keyed_server.wait("the key is refused", lambda: _complete(keyed_server, secret) == 401, 10)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux takes file descriptors from another process")
def test_a_server_without_file_descriptors_recovers(keyed_server: ServerProcess, tmp_path: Path, scale: Scale) -> None:
    """While no file can be opened the loops fail and are counted; afterwards all recover, and a key revoked in
    the meantime is refused.
    """
    id, secret = _key(keyed_server)
    assert _complete(keyed_server, secret) == 200
    server = psutil.Process(keyed_server.pid)
    before = server.rlimit(psutil.RLIMIT_NOFILE)
    with closing(http.client.HTTPConnection("127.0.0.1", keyed_server.port, timeout=60)) as line:
        _scrape(line)  # a connection from before
        server.rlimit(psutil.RLIMIT_NOFILE, (_lowest_free(keyed_server.pid), before[1]))
        try:
            _knock(keyed_server)
            end = time.monotonic() + scale(0, 60)
            for loop in ("usage", "idle_models"):
                _until(partial(_has_failed, line, loop), 60)
            _until(lambda: time.monotonic() >= end, 120)
        finally:
            server.rlimit(psutil.RLIMIT_NOFILE, before)
    keyed_server.wait("all loops work", lambda: _is_well(keyed_server), 60)
    admin_commands.revoke_key(_settings(tmp_path), id)
    keyed_server.wait("the key is refused", lambda: _complete(keyed_server, secret) == 401, 20)
    assert _complete(keyed_server) == 200
    database = Database(f"sqlite:///{_database(tmp_path)}")
    usage = SqlUsageRepository(database, tmp_path / "kept" / "homeport.usage")
    keyed_server.wait(
        "usage is imported", lambda: sum(each.requests for each in usage.sum_usage(UsageQuery())) >= 2, 30
    )
    database.close()


def _has_failed(line: http.client.HTTPConnection, loop: str) -> bool:
    return _metric(_scrape(line), loop) >= 1


def _lowest_free(pid: int) -> int:
    """Return the lowest file descriptor that a process does not use: with it as the limit, none can be opened."""
    used = {int(path.name) for path in Path(f"/proc/{pid}/fd").iterdir()}
    return next(number for number in itertools.count() if number not in used)


def _is_well(server: ServerProcess) -> bool:
    try:
        return not _failing(server)
    except OSError:
        return False


def _knock(server: ServerProcess) -> None:
    """Connect until the remaining descriptors are used up."""
    for _ in range(20):
        with socket.socket() as other:
            other.settimeout(1)
            other.connect_ex(("127.0.0.1", server.port))


def _scrape(line: http.client.HTTPConnection) -> str:
    line.request("GET", "/metrics", headers={"Authorization": "Bearer test"})
    return line.getresponse().read().decode()


def _until(holds: Callable[[], Any], limit_s: float) -> None:
    end = time.monotonic() + limit_s
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.2)  # a poll: another process offers no event to wait on
