"""One database, by URL: connections, transactions, and what goes wrong in the program's own words.

SQLite in WAL mode or PostgreSQL. Synchronous: on the event loop it is called through a thread. Knows no table.
"""

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from homeport.domain.errors import InvalidRequest, StorageFull, Unavailable
from homeport.formats import durable_files

_BUSY_MS = 10_000
_NO_URL = "database_url: is no URL such as sqlite:////path or postgresql://host/name."
_POSTGRES = "postgresql+psycopg"


class Database:
    """The database behind a URL, `sqlite:///PATH` or `postgresql://…`. The file's folder is made if need be."""

    def __init__(self, url: str) -> None:
        try:
            parsed = sa.make_url(url)
            if parsed.drivername in ("postgres", "postgresql"):
                parsed = parsed.set(drivername=_POSTGRES)
            if parsed.drivername not in ("sqlite", _POSTGRES):
                raise InvalidRequest(f"database_url: {parsed.drivername} is none of sqlite, postgresql.")
            self.url = parsed
            self.engine = self._sqlite_engine() if self.is_sqlite else sa.create_engine(parsed, pool_pre_ping=True)
        except (ArgumentError, NoSuchModuleError) as error:
            raise InvalidRequest(_NO_URL) from error
        # One writer at a time within this process: SQLite's own waiting is a poll that can starve.
        self._writer: AbstractContextManager[object] = threading.Lock() if self.is_sqlite else nullcontext()

    @property
    def is_sqlite(self) -> bool:
        """Whether this is a file."""
        return self.url.drivername == "sqlite"

    @staticmethod
    def name(url: str) -> str:
        """A URL as it may be shown: without its password. Raises InvalidRequest."""
        try:
            return sa.make_url(url).render_as_string(hide_password=True)
        except ArgumentError as error:
            raise InvalidRequest(_NO_URL) from error

    @property
    def path(self) -> Path | None:
        """The file, for SQLite."""
        return Path(self.url.database) if self.is_sqlite and self.url.database else None

    def __str__(self) -> str:
        return self.url.render_as_string(hide_password=True)

    @contextmanager
    def read_transaction(self) -> Iterator[sa.Connection]:
        """One consistent look. Raises Unavailable where the database cannot be reached."""
        with self._translate_errors(), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def write_transaction(self) -> Iterator[sa.Connection]:
        """One transaction, committed at the end.

        Raises StorageFull, Unavailable, or InvalidRequest for a value that no column holds; then nothing was changed.
        """
        with (
            self._translate_errors(),
            self._writer,
            self.engine.connect() as connection,
            connection.execution_options(homeport_writes=True).begin(),
        ):
            yield connection

    def close(self) -> None:
        """Give back all connections."""
        self.engine.dispose()

    def _sqlite_engine(self) -> sa.Engine:
        path = self.path
        if path is None:
            raise InvalidRequest("database_url: sqlite needs a path, such as sqlite:////var/lib/homeport/homeport.db.")
        _prepare(path)
        engine = sa.create_engine(self.url, connect_args={"check_same_thread": False}, pool_size=4)
        sa.event.listen(engine, "connect", _set_up)
        sa.event.listen(engine, "begin", _begin)
        return engine

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        try:
            yield
        except sa.exc.TimeoutError as error:
            raise Unavailable(f"The database {self} is too busy: {error}") from error
        except DBAPIError as error:
            said = str(error.orig).strip()
            if durable_files.reports_full_disk(said):
                raise StorageFull(f"The database's disk is full ({self}).") from error
            if isinstance(error, sa.exc.IntegrityError):
                raise
            if isinstance(error, sa.exc.DataError):
                raise InvalidRequest(f"The database cannot store this value: {_first_line(said)}") from error
            raise Unavailable(f"The database {self} does not answer: {said}") from error
        except OverflowError as error:  # of SQLite's driver, before it asks the database
            raise InvalidRequest("The database cannot store a number of more than 64 bits.") from error


def _first_line(said: str) -> str:
    return said.partition("\n")[0][:200]


def _prepare(path: Path) -> None:
    """Make the file for its user alone: it holds who asked for what, and hashes of keys."""
    try:
        durable_files.make_folder(path.parent)
        if not path.exists():
            path.touch(mode=0o600)
            durable_files.sync_path(path.parent)
    except OSError as error:
        raise Unavailable(f"The database {path} cannot be opened: {error.strerror}.") from error


def _set_up(connection: Any, _: object) -> None:
    # The driver's own transactions begin too late to read and write in one: SQLAlchemy begins them, below.
    connection.isolation_level = None
    # A text that is not UTF-8 would keep all rows that are read with it from being read.
    connection.text_factory = partial(str, encoding="utf-8", errors="replace")
    # FULL: what is committed survives a power cut. With NORMAL the last transactions in the WAL would not. `fullfsync`
    # says the same to macOS, and nothing elsewhere.
    durability = ("synchronous=FULL", "fullfsync=ON")
    for pragma in (f"busy_timeout={_BUSY_MS}", "journal_mode=WAL", *durability, "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: sa.Connection) -> None:
    writes = connection.get_execution_options().get("homeport_writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
