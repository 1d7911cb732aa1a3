"""A server or command that cannot start prints one sentence, not a traceback."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from homeport.app import admin_commands
from homeport.domain.keys import NewKey
from homeport.settings import Settings
from tests.conftest import home_folder

MODEL = "smollm2-135m"
COMMANDS = ["serve", "keys list", "keys create bot", "db upgrade", "db check", "usage", f"rm {MODEL}", "list", "ps"]


def _said(home: Path, *command: str) -> tuple[int, str]:
    """Run a command that must end by itself; return its status and its standard error."""
    environ = {**os.environ, "HOMEPORT_HOME": str(home), "HOMEPORT_OFFLINE": "1", "HOMEPORT_LAYOUT": "original"}
    done = subprocess.run(
        [sys.executable, "-m", "homeport", *command],
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stderr


def _error(said: str) -> str:
    """Return the one error, without log lines before it."""
    [error] = [line for line in said.splitlines() if line.startswith("Error: ")]
    assert "Traceback" not in said, said
    return error


def _block(name: str) -> Callable[[Path], None]:
    """Return a function that puts a file where a folder is needed: root cannot write there either."""
    return lambda home: (home / name).touch()


def _empty(home: Path) -> None:
    admin_commands.create_key(Settings(home=home), NewKey(name="bot"))
    for path in home.glob("homeport.db*"):
        path.unlink()
    (home / "homeport.db").touch()


def _lose_secret(home: Path) -> None:
    admin_commands.create_key(Settings(home=home), NewKey(name="bot"))
    (home / "key-secret").unlink()


def _scribble(home: Path) -> None:
    (home / "homeport.db").write_bytes(b"no database" * 1000)


@pytest.mark.parametrize(
    ("spoil", "names"),
    [
        (_block("spool"), "spool"),
        (_block("blobs"), "blobs"),
        (_block("homeport.usage"), "homeport.usage"),
        (_block("run"), "run"),
        (_scribble, "homeport.db"),
        (_empty, "homeport.db"),
        (_lose_secret, "key-secret"),
    ],
)
def test_a_server_that_cannot_start_says_why(
    tmp_path: Path, smollm2: Path, spoil: Callable[[Path], None], names: str
) -> None:
    """A folder that cannot be created, a file that is no database, a lost key secret: the error names the file."""
    assert smollm2.exists()
    (tmp_path / "models").symlink_to(home_folder() / "models")
    spoil(tmp_path)
    status, said = _said(tmp_path, "serve", "--port", "0", "--model", MODEL)
    assert status == 1, said
    assert names in _error(said)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_home_that_cannot_be_written_is_an_error(tmp_path: Path, command: str) -> None:
    """If the home folder cannot be created, every command prints one error, or works without it."""
    (tmp_path / "file").touch()
    status, said = _said(tmp_path / "file" / "home", *command.split())
    assert status in (0, 1)
    assert "Traceback" not in said, said
    assert len(said.splitlines()) <= 3, said


def test_a_damaged_key_keeps_no_server_from_starting(tmp_path: Path) -> None:
    """A key whose row cannot be read is named on standard error, and the others are listed."""
    settings = Settings(home=tmp_path)
    bad, good = (admin_commands.create_key(settings, NewKey(name=name)) for name in ("bad", "good"))
    with closing(sqlite3.connect(tmp_path / "homeport.db")) as connection:
        connection.execute("UPDATE keys SET limits = '{' WHERE id = ?", (bad.key.id,))
        connection.commit()
    status, said = _said(tmp_path, "keys", "list")
    assert status == 0, said
    assert bad.key.id in said
    assert good.key.id not in said
    assert "Traceback" not in said
