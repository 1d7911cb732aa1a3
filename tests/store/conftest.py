"""Databases for the tests of the store: each test runs on a new SQLite file and on a new PostgreSQL database."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from homeport.store import migration
from homeport.store.database import Database
from tests import postgres_server
from tests.postgres_server import postgres as postgres


@pytest.fixture(scope="session")
def plain_role(postgres: str) -> str:
    """A role of the PostgreSQL server that may create no extension."""
    postgres_server.execute(postgres, "CREATE ROLE plain LOGIN")
    return "plain"


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database. `plain` as an indirect parameter: PostgreSQL where no extension may be created."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/homeport.db"
        return
    owner = request.getfixturevalue("plain_role") if request.param == "plain" else "postgres"
    with postgres_server.new_database(request.getfixturevalue("postgres"), owner) as made:
        yield made


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
