"""Upgrades a database to the current schema, and checks it.

A new database is created from `schema` directly. Only an older one needs Alembic, which is imported then, so that the
server's memory does not hold it.
"""

import sqlite3
from contextlib import closing
from pathlib import Path

import sqlalchemy as sa

from homeport.domain.errors import InvalidRequest, StorageFull, Unavailable
from homeport.formats import atomic
from homeport.store import pgvector
from homeport.store.database import Database
from homeport.store.schema import METADATA, REVISION

_STAMP = sa.Table("alembic_version", sa.MetaData(), sa.Column("version_num", sa.String(32), primary_key=True))


def revision(database: Database) -> str | None:
    """Return the revision of a database; None if it is empty."""
    with database.read_transaction() as connection:
        if not sa.inspect(connection).has_table(_STAMP.name):
            return None
        found: str | None = connection.execute(sa.select(_STAMP.c.version_num)).scalar()
        return found


def upgrade(database: Database) -> tuple[str | None, str]:
    """Upgrade a database; return its revision before and after. Raises Unavailable for a newer one.

    Also prepares PostgreSQL's pgvector, which may have been added to the server since the last time.
    """
    current = revision(database)
    if current is None:
        _create(database)
    elif current != REVISION:
        _check_known(database, current)
        _run_migrations(database)
    pgvector.install(database)
    return current, REVISION


def prepare_database(database: Database) -> None:
    """Prepare a database at the start of a server: SQLite is upgraded automatically.

    Raises Unavailable if the operator must act: for PostgreSQL, which servers may share, and for a newer schema.
    """
    current = revision(database)
    if current == REVISION:
        return
    if current is not None:
        _check_known(database, current)
    if not database.is_sqlite:
        raise Unavailable(
            f"The database {database} is at {current or 'nothing'} and this Homeport needs {REVISION}: "
            "run `homeport db upgrade` with the same settings."
        )
    upgrade(database)


def find_faults(database: Database) -> list[str]:
    """Return descriptions of what is wrong with a database."""
    current = revision(database)
    faults: list[str] = []
    if current != REVISION:
        faults.append(f"it is at {current or 'nothing'}, not at {REVISION}: run `homeport db upgrade`")
    with database.read_transaction() as connection:
        if database.is_sqlite:
            results = connection.exec_driver_sql("PRAGMA integrity_check").scalars().all()
            faults += [str(line) for line in results if line != "ok"]
        missing = set(METADATA.tables) - set(sa.inspect(connection).get_table_names())
    if current == REVISION and missing:
        faults.append(f"tables are missing: {', '.join(sorted(missing))}")
    return faults


def backup(database: Database, target: Path) -> int:
    """Copy a database, even one in use, to a new file; return its size. Raises InvalidRequest for PostgreSQL."""
    if not database.is_sqlite:
        raise InvalidRequest("Back up PostgreSQL with its own tool, pg_dump.")
    if target.exists():
        raise InvalidRequest(f"{target} exists already.")
    try:
        # A connection of its own, because VACUUM must run outside of any transaction.
        with (
            atomic.replace_file(target) as partial,
            closing(sqlite3.connect(str(database.path))) as connection,
        ):
            connection.execute("VACUUM INTO ?", (str(partial),))
    except (sqlite3.Error, OSError) as error:
        raise StorageFull(f"The copy {target} cannot be written: {error}") from error
    return target.stat().st_size


def _check_known(database: Database, current: str) -> None:
    if current > REVISION:
        raise Unavailable(f"The database {database} is at {current}, made by a newer Homeport than this ({REVISION}).")


def _create(database: Database) -> None:
    with database.write_transaction() as connection:
        if sa.inspect(connection).has_table(_STAMP.name):
            return  # another process created it first
        METADATA.create_all(connection)
        _STAMP.create(connection)
        connection.execute(sa.insert(_STAMP).values(version_num=REVISION))


def _run_migrations(database: Database) -> None:
    from alembic import command
    from alembic.config import Config

    with database.write_transaction() as connection:
        config = Config()
        config.set_main_option("script_location", "homeport.store:migrations")
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
