"""Upgrades of databases to the current schema, on SQLite and PostgreSQL."""

import stat
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from homeport.domain.errors import InvalidRequest, Unavailable
from homeport.store import migration, pgvector
from homeport.store.database import Database
from homeport.store.schema import FILES, METADATA, REVISION
from tests.store.response_store import ResponseStore


def steps() -> ScriptDirectory:
    config = Config()
    config.set_main_option("script_location", "homeport.store:migrations")
    return ScriptDirectory.from_config(config)


def walk_from(database: Database, start: str | None) -> None:
    """Stamp a database, which must have the tables of that revision, and upgrade it."""
    with database.write_transaction() as connection:
        migration._STAMP.create(connection, checkfirst=True)
        if start is not None:
            connection.execute(sa.insert(migration._STAMP).values(version_num=start))
    migration._run_migrations(database)


def differences(database: Database) -> list[object]:
    with database.read_transaction() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "include_name": lambda name, kind, _: (
                    kind != "table" or name not in ("alembic_version", pgvector.VECTORS.name)
                )
            },
        )
        return list(compare_metadata(context, METADATA))


def test_the_steps_lead_to_the_tables(empty: Database) -> None:
    """Running all migrations on an empty database gives exactly the tables of a new one."""
    walk_from(empty, None)
    assert migration.revision(empty) == REVISION == steps().get_current_head()
    assert differences(empty) == []


def test_a_database_before_responses_is_upgraded(empty: Database) -> None:
    """A database without the tables of responses gets them, keeps its records, and stores responses."""
    with empty.write_transaction() as connection:
        config = Config()
        config.set_main_option("script_location", "homeport.store:migrations")
        config.attributes["connection"] = connection
        command.upgrade(config, "r0005")
        file = {"id": "file-1", "project": "one", "purpose": "batch", "filename": "a", "bytes": 7, "created_at": 1}
        connection.execute(sa.insert(FILES).values(**file))
    assert migration.find_faults(empty) == [f"it is at r0005, not at {REVISION}: run `homeport db upgrade`"]
    assert migration.upgrade(empty) == ("r0005", REVISION)
    assert migration.find_faults(empty) == []
    assert differences(empty) == []
    store = ResponseStore(empty)
    assert store.storage.of("one").files == 7
    stored = store.added("a")
    assert store.responses.chain("one", "a") == [stored]


def test_a_new_database_is_made_at_once(empty: Database) -> None:
    """An empty database gets the current tables and revision; a second run changes nothing."""
    assert migration.revision(empty) is None
    assert migration.upgrade(empty) == (None, REVISION)
    assert migration.upgrade(empty) == (REVISION, REVISION)
    assert differences(empty) == []
    assert migration.find_faults(empty) == []


def test_only_a_file_is_upgraded_by_the_server(empty: Database) -> None:
    """A server upgrades its own SQLite file; for PostgreSQL it refuses and names the command."""
    if empty.is_sqlite:
        migration.prepare_database(empty)
        assert migration.revision(empty) == REVISION
    else:
        with pytest.raises(Unavailable, match="homeport db upgrade"):
            migration.prepare_database(empty)


def test_a_newer_database_is_left_alone(database: Database) -> None:
    """A database of a newer Homeport is neither used nor changed."""
    with database.write_transaction() as connection:
        connection.execute(sa.update(migration._STAMP).values(version_num="r9999"))
    for use in (migration.prepare_database, migration.upgrade):
        with pytest.raises(Unavailable, match="newer Homeport"):
            use(database)
    assert any("r9999" in fault for fault in migration.find_faults(database))


def test_a_missing_table_is_found(database: Database) -> None:
    """`check` names missing tables."""
    with database.write_transaction() as connection:
        METADATA.tables["keys"].drop(connection)
    assert migration.find_faults(database) == ["tables are missing: keys"]


def test_a_copy_is_whole_and_private(database: Database, tmp_path: Path) -> None:
    """A SQLite database is copied while it is in use, never over another file; PostgreSQL has its own tool."""
    target = tmp_path / "copy.db"
    if not database.is_sqlite:
        with pytest.raises(InvalidRequest, match="pg_dump"):
            migration.backup(database, target)
        return
    with database.read_transaction():
        size = migration.backup(database, target)
    assert size == target.stat().st_size
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    copy = Database(f"sqlite:///{target}")
    assert migration.find_faults(copy) == []
    copy.close()
    with pytest.raises(InvalidRequest, match="exists"):
        migration.backup(database, target)
