"""A database, by its URL: connections and transactions, with errors as `HomeportError`.

SQLite in WAL mode or PostgreSQL. Synchronous: call it in a thread from the event loop. Knows no table.
"""

import sqlite3
import stat
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from homeport.domain.errors import InvalidRequest, StorageFull, Unavailable
from homeport.formats import durable_files

_BUSY_MS = 10_000
_SUSPENDED_MS = 2_000
_SUFFIXES = ("-wal", "-shm")  # of SQLite's files next to a database
_NO_URL = "database_url: this is not a URL such as sqlite:////path or postgresql://host/name."
_POSTGRES = "postgresql+psycopg"


class Database:
    """The database of a URL, `sqlite:///PATH` or `postgresql://…`. A missing folder of the file is created.

    `is_durable` False: for many small changes, whose last second a power cut of PostgreSQL's machine may undo, and each
    of which is undone if this process is suspended for seconds in the middle of it.
    """

    def __init__(self, url: str, *, is_durable: bool = True) -> None:
        try:
            parsed = sa.make_url(url)
            if parsed.drivername in ("postgres", "postgresql"):
                parsed = parsed.set(drivername=_POSTGRES)
            if parsed.drivername not in ("sqlite", _POSTGRES):
                raise InvalidRequest(f"database_url: {parsed.drivername} is neither sqlite nor postgresql.")
            self.url = parsed
            self.engine = (
                self._sqlite_engine() if self.is_sqlite else sa.create_engine(parsed, pool_pre_ping=is_durable)
            )
            if not is_durable and not self.is_sqlite:
                sa.event.listen(self.engine, "connect", _set_up_volatile)
        except (ArgumentError, NoSuchModuleError) as error:
            raise InvalidRequest(_NO_URL) from error
        self._driver_error: type[Exception] = self.engine.dialect.loaded_dbapi.Error
        # One writer at a time within this process: SQLite's own waiting polls, and can starve.
        self._writer: AbstractContextManager[object] = threading.Lock() if self.is_sqlite else nullcontext()

    @property
    def is_sqlite(self) -> bool:
        """Whether this is SQLite."""
        return self.url.drivername == "sqlite"

    @staticmethod
    def name(url: str) -> str:
        """Return a URL without its password, for display. Raises InvalidRequest."""
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
        """Read in one transaction. Raises Unavailable if the database cannot be reached."""
        with self._translate_errors(), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def write_transaction(self) -> Iterator[sa.Connection]:
        """Write in one transaction, committed at the end.

        Raises StorageFull, Unavailable, or InvalidRequest for a value that does not fit a column; then nothing changes.
        """
        with (
            self._translate_errors(),
            self._writer,
            self.engine.connect() as connection,
            connection.execution_options(homeport_writes=True).begin(),
        ):
            yield connection

    def erase_deleted(self) -> None:
        """Empty SQLite's write-ahead log, which still has what was deleted; the database itself overwrites it.

        Nothing waits for it: while another transaction runs, the log is left as it is, until the next call. PostgreSQL
        overwrites deleted rows after its own vacuum.
        """
        if not self.is_sqlite:
            return
        with self._translate_errors(), self._writer, closing(self.engine.raw_connection()) as connection:
            cursor = connection.cursor()
            cursor.execute("PRAGMA busy_timeout=0")
            try:
                with suppress(sqlite3.OperationalError):  # busy
                    cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            finally:
                cursor.execute(f"PRAGMA busy_timeout={_BUSY_MS}")

    def close(self) -> None:
        """Close all connections."""
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
        except (
            DBAPIError,
            self._driver_error,
        ) as error:  # the driver's own: from a cursor that SQLAlchemy has not made
            message = str(error.orig if isinstance(error, DBAPIError) else error).strip()
            if durable_files.reports_full_disk(message):
                raise StorageFull(f"The database's disk is full ({self}).") from error
            if isinstance(error, sa.exc.IntegrityError):
                raise
            if isinstance(error, sa.exc.DataError):
                raise InvalidRequest(f"The database cannot store this value: {_first_line(message)}") from error
            raise Unavailable(f"The database {self} does not answer: {message}") from error
        except OverflowError as error:  # of SQLite's driver
            raise InvalidRequest("The database cannot store a number of more than 64 bits.") from error


def _first_line(message: str) -> str:
    return message.partition("\n")[0][:200]


def _prepare(path: Path) -> None:
    """Create the file for this user alone, or make it so: it has prompts, answers, usage and digests of keys.

    SQLite gives the files next to it the same mode.
    """
    try:
        durable_files.make_folder(path.parent)
        if not path.exists():
            path.touch(mode=0o600)
            durable_files.sync_path(path.parent)
        for each in (path, *(path.with_name(f"{path.name}{suffix}") for suffix in _SUFFIXES)):
            _make_private(each)
    except OSError as error:
        raise Unavailable(f"The database {path} cannot be opened: {error.strerror}.") from error


def _make_private(path: Path) -> None:
    with suppress(FileNotFoundError, PermissionError):  # another user's: the mode is theirs to choose
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o077:
            path.chmod(mode & 0o700)


def _set_up(connection: Any, _: object) -> None:
    # The driver's own transactions start too late to read and write in one: SQLAlchemy starts them, below.
    connection.isolation_level = None
    # A text that is not UTF-8 would make all rows of its query unreadable.
    connection.text_factory = partial(str, encoding="utf-8", errors="replace")
    # FULL: committed transactions survive a power cut. With NORMAL the last ones in the WAL would not. `fullfsync` does
    # the same on macOS, and nothing elsewhere.
    durability = ("synchronous=FULL", "fullfsync=ON")
    # ON: deleted rows are overwritten. Some builds of SQLite leave them in the file.
    for pragma in (f"busy_timeout={_BUSY_MS}", "journal_mode=WAL", *durability, "foreign_keys=ON", "secure_delete=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _set_up_volatile(connection: Any, _: object) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET synchronous_commit TO off")
        # A server that is suspended in the middle of a change must not stop the others.
        cursor.execute(f"SET idle_in_transaction_session_timeout TO {_SUSPENDED_MS}")
    connection.commit()


def _begin(connection: sa.Connection) -> None:
    writes = connection.get_execution_options().get("homeport_writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
