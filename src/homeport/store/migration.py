"""Brings a database to today's schema, or says how far it is from it.

A new database is made from `schema` at once and stamped; only an older one needs Alembic, which is imported then: the
server's memory need not hold it. Knows nothing of rows.
"""

import sqlite3
from contextlib import closing
from pathlib import Path

import sqlalchemy as sa

from homeport.domain.errors import InvalidRequest, StorageFull, Unavailable
from homeport.formats import atomic
from homeport.store.database import Database
from homeport.store.schema import METADATA, REVISION

_STAMP = sa.Table("alembic_version", sa.MetaData(), sa.Column("version_num", sa.String(32), primary_key=True))


def revision(database: Database) -> str | None:
    """The step a database is at; None where it is empty."""
    with database.read_transaction() as connection:
        if not sa.inspect(connection).has_table(_STAMP.name):
            return None
        found: str | None = connection.execute(sa.select(_STAMP.c.version_num)).scalar()
        return found


def upgrade(database: Database) -> tuple[str | None, str]:
    """Bring a database to today's schema; give its step before and after. Raises Unavailable for a newer one's."""
    was = revision(database)
    if was is None:
        _create(database)
    elif was != REVISION:
        _check_known(database, was)
        _run_migrations(database)
    return was, REVISION


def prepare_database(database: Database) -> None:
    """Make a database fit for use, as a server does at its start. SQLite is upgraded by itself.

    Raises Unavailable where the operator has to do it: for a server shared by many, and for a newer program's schema.
    """
    was = revision(database)
    if was == REVISION:
        return
    if was is not None:
        _check_known(database, was)
    if not database.is_sqlite:
        raise Unavailable(
            f"The database {database} is at {was or 'nothing'} and this Homeport needs {REVISION}: "
            "run `homeport db upgrade` with the same settings."
        )
    upgrade(database)


def find_faults(database: Database) -> list[str]:
    """What is wrong with a database, in words; nothing where all is well."""
    was = revision(database)
    found = [] if was == REVISION else [f"it is at {was or 'nothing'}, not at {REVISION}: run `homeport db upgrade`"]
    with database.read_transaction() as connection:
        if database.is_sqlite:
            told = connection.exec_driver_sql("PRAGMA integrity_check").scalars().all()
            found += [str(line) for line in told if line != "ok"]
        missing = set(METADATA.tables) - set(sa.inspect(connection).get_table_names())
    if was == REVISION and missing:
        found.append(f"tables are missing: {', '.join(sorted(missing))}")
    return found


def backup(database: Database, target: Path) -> int:
    """Copy a database, also one in use, into a new file; give its size. Raises InvalidRequest for PostgreSQL."""
    if not database.is_sqlite:
        raise InvalidRequest("PostgreSQL is backed up by its own tool: pg_dump.")
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


def _check_known(database: Database, was: str) -> None:
    if was > REVISION:
        raise Unavailable(f"The database {database} is at {was}, made by a newer Homeport than this ({REVISION}).")


def _create(database: Database) -> None:
    with database.write_transaction() as connection:
        if sa.inspect(connection).has_table(_STAMP.name):
            return  # another process was first
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
