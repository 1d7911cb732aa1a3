"""One server at a time uses a SQLite database."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from homeport.domain.errors import Unavailable
from homeport.store.server_lock import ServerLock


def test_a_second_server_is_refused_by_name(tmp_path: Path) -> None:
    """While one server runs, another one is told its process and what to do; afterwards it may run."""
    path = tmp_path / "home" / "homeport.lock"
    first, second = ServerLock(path), ServerLock(path)
    first.acquire("homeport.db")
    with pytest.raises(Unavailable, match=rf"process {os.getpid()}\) uses the database homeport.db.*PostgreSQL"):
        second.acquire("homeport.db")
    first.release()
    first.release()
    second.acquire("homeport.db")
    second.release()


def test_the_lock_of_a_killed_server_is_free(tmp_path: Path) -> None:
    """A process that is killed leaves a lock file and no lock."""
    path = tmp_path / "homeport.lock"
    program = (
        "import sys; from pathlib import Path; from homeport.store.server_lock import ServerLock\n"
        "lock = ServerLock(Path(sys.argv[1])); lock.acquire('x'); print('ready', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        lock = ServerLock(path)
        with pytest.raises(Unavailable, match=f"process {child.pid}"):
            lock.acquire("x")
        child.kill()
        child.wait()
    lock.acquire("x")
    lock.release()


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    """A lock file that cannot be created is named."""
    (tmp_path / "homeport.lock").mkdir()
    with pytest.raises(Unavailable, match=r"homeport\.lock"):
        ServerLock(tmp_path / "homeport.lock").acquire("x")
