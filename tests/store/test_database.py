"""Transactions and their errors."""

import stat
import time
from pathlib import Path

import pytest
import sqlalchemy as sa

from homeport.domain.errors import InvalidRequest, StorageFull, Unavailable
from homeport.store import migration
from homeport.store.database import Database
from homeport.store.schema import PROJECTS


def count(database: Database) -> int:
    with database.read_transaction() as connection:
        return connection.execute(sa.select(sa.func.count()).select_from(PROJECTS)).scalar_one()


def test_a_transaction_is_whole_or_not_at_all(database: Database) -> None:
    """What a failed transaction wrote is not stored; what a successful one wrote is."""

    def half(*names: str) -> None:
        with database.write_transaction() as connection:
            for name in names:
                connection.execute(sa.insert(PROJECTS).values(id=name, created_at=1))
            if "bad" in names:
                raise RuntimeError

    half("good")
    with pytest.raises(RuntimeError):
        half("lost", "bad")
    assert count(database) == 1


@pytest.mark.parametrize("wrong", ["nonsense", "mysql://host/name", "sqlite://", "oracle+x://y"])
def test_a_wrong_url_is_named(wrong: str) -> None:
    """An unsupported or invalid URL is refused with the setting's name."""
    with pytest.raises(InvalidRequest, match="database_url"):
        Database(wrong)


def test_a_password_is_not_shown() -> None:
    """A database's name in messages has no password."""
    database = Database("postgresql://me:hunter2@127.0.0.1:1/name")
    assert "hunter2" not in str(database)
    with pytest.raises(Unavailable) as refused, database.read_transaction():
        pass
    assert "hunter2" not in str(refused.value)
    database.close()


def test_the_file_is_this_users_alone(tmp_path: Path) -> None:
    """Other users cannot read a SQLite database; if it cannot be created, the message says why."""
    database = Database(f"sqlite:///{tmp_path}/new/homeport.db")
    assert stat.S_IMODE((tmp_path / "new/homeport.db").stat().st_mode) == 0o600
    database.close()
    (tmp_path / "file").touch()
    with pytest.raises(Unavailable, match="cannot be opened"):
        Database(f"sqlite:///{tmp_path}/file/homeport.db")


def test_a_file_that_others_may_read_is_made_private(tmp_path: Path) -> None:
    """Opening a SQLite database takes all permissions from group and others, also on the files next to it."""
    paths = [tmp_path / f"homeport.db{suffix}" for suffix in ("", "-wal", "-shm")]
    for path in paths:
        path.touch()
        path.chmod(0o644)
    Database(f"sqlite:///{paths[0]}").close()
    assert [stat.S_IMODE(path.stat().st_mode) for path in paths] == [0o600] * 3


def test_sqlites_other_files_are_private_too(tmp_path: Path) -> None:
    """The write-ahead log, which has prompts and answers too, is readable by this user alone."""
    database = Database(f"sqlite:///{tmp_path}/homeport.db")
    migration.upgrade(database)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.glob("homeport.db*")}
    assert modes == {"homeport.db": 0o600, "homeport.db-wal": 0o600, "homeport.db-shm": 0o600}
    database.close()


def test_erasing_waits_for_nobody(database: Database) -> None:
    """While another transaction reads, the log is left as it is, without an error and without waiting."""
    with database.write_transaction() as connection:
        connection.execute(sa.insert(PROJECTS).values(id="a", created_at=1))
    with database.read_transaction() as reader:
        reader.execute(sa.select(PROJECTS)).all()
        with database.write_transaction() as connection:
            connection.execute(sa.delete(PROJECTS))
        start = time.monotonic()
        database.erase_deleted()
        assert time.monotonic() - start < 5
        assert len(reader.execute(sa.select(PROJECTS)).all()) == (1 if database.is_sqlite else 0)
    database.erase_deleted()
    if database.path is not None:
        assert database.path.with_name(f"{database.path.name}-wal").stat().st_size == 0


def test_a_full_disk_is_said_and_breaks_nothing(database: Database) -> None:
    """If the disk is full, writing raises StorageFull, and the database continues with its data."""
    if not database.is_sqlite:
        pytest.skip("PostgreSQL's disk is its own affair")
    with database.write_transaction() as connection:
        connection.execute(sa.insert(PROJECTS).values(id="before", created_at=1))
    with database.write_transaction() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")
    many = [{"id": f"{at}-{'x' * 60}", "created_at": 1} for at in range(1000)]
    with pytest.raises(StorageFull), database.write_transaction() as connection:
        connection.execute(sa.insert(PROJECTS), many)
    assert count(database) == 1


@pytest.mark.parametrize("value", ["a\0b", 2**70])
def test_a_value_that_no_column_holds_is_the_callers_mistake(database: Database, value: object) -> None:
    """A NUL in a text on PostgreSQL, or a number of more than 64 bits, is InvalidRequest, and changes nothing."""
    column = PROJECTS.c.id if isinstance(value, str) else PROJECTS.c.created_at
    row = {"id": "a", "created_at": 1, column.name: value}
    if database.is_sqlite and isinstance(value, str):
        pytest.skip("SQLite holds it")
    with pytest.raises(InvalidRequest, match="cannot store"), database.write_transaction() as connection:
        connection.execute(sa.insert(PROJECTS).values(**row))
    with database.read_transaction() as connection:
        assert connection.execute(sa.select(PROJECTS)).all() == []


def test_errors_of_the_driver_itself_are_translated(database: Database) -> None:
    """An error of a cursor that SQLAlchemy has not made is Unavailable, too."""
    with pytest.raises(Unavailable, match="missing"), database.read_transaction() as connection:
        connection.connection.cursor().execute("SELECT * FROM missing")
