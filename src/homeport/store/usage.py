"""Usage in the database: imported from the files of the usage ledger, and summed.

Any process may import any file, even one that is being written: the database records how far it has been imported, in
the transaction that writes the rows.
"""

import contextlib
import fcntl
import logging
import os
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.exc import DataError, IntegrityError

from homeport.domain.errors import Unavailable
from homeport.domain.usage import UsageQuery, UsageRecord, UsageTotal
from homeport.formats import atomic
from homeport.store import rows
from homeport.store.database import Database
from homeport.store.schema import USAGE, USAGE_LEDGERS
from homeport.store.usage_ledger import SUFFIX

_log = logging.getLogger("homeport.usage")

_CHUNK_BYTES = 1_000_000
_STALE_S = 60.0
_COLUMNS: dict[str, sa.ColumnElement[Any]] = {
    "project": USAGE.c.project,
    "key": USAGE.c.key,
    "user": USAGE.c.user,
    "model": USAGE.c.model,
    "endpoint": USAGE.c.endpoint,
    "batch": sa.case((USAGE.c.is_batch, sa.literal_column("'yes'")), else_=sa.literal_column("'no'")),
}
_SUMS = ("prompt_tokens", "completion_tokens", "cached_tokens", "amount")


class SqlUsageRepository:
    """The usage in a database. `folder`: the folder of its ledger files. Synchronous."""

    def __init__(self, database: Database, folder: Path, now: Callable[[], float] = time.time) -> None:
        self._database = database
        self._folder = folder
        self._now = now
        self._read: dict[str, int] = {}

    def import_ledgers(self) -> int:
        """Import new records of the ledgers; return their number. Without new records it runs no SQL."""
        n_read = 0

        def import_file(path: Path) -> None:
            nonlocal n_read
            try:
                while (n := self._import_ledger(path)) > 0:
                    n_read += n
                self._sweep(path)
            except (FileNotFoundError, IntegrityError):
                return  # another process handled this file first

        try:
            rows.each(sorted(self._folder.glob(f"*{SUFFIX}")), import_file)
            rows.each(self._folder.glob(f"*{atomic.PARTIAL}"), _remove_stale)
        except OSError as error:
            raise Unavailable(f"Usage in {self._folder} cannot be read: {error.strerror}.") from error
        return n_read

    def sum_usage(self, usage_query: UsageQuery) -> Sequence[UsageTotal]:
        """Sum usage by span of time and group, in this order."""
        spans: list[sa.ColumnElement[Any]] = []
        if usage_query.width_s:
            spans = [(USAGE.c.at // usage_query.width_s * usage_query.width_s).label("begins")]
        groups = [*spans, *(_COLUMNS[name].label(name) for name in usage_query.by)]
        totals = [sa.func.coalesce(sa.func.sum(USAGE.c[name]), 0).label(name) for name in _SUMS]
        query = sa.select(*groups, sa.func.count().label("requests"), *totals).where(*_conditions(usage_query))
        query = query.group_by(*groups).order_by(*groups)
        query = query.limit(usage_query.limit).offset(usage_query.offset)
        with self._database.read_transaction() as connection:
            records = connection.execute(query).mappings()
            return [_from_row(row, usage_query.by) for row in records if row["requests"]]

    def tokens_by_key(self) -> Sequence[tuple[str, int, int]]:
        """Return each key's tokens of this day and of this month, in UTC."""
        today = datetime.fromtimestamp(self._now(), UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        day, month = int(today.timestamp()), int(today.replace(day=1).timestamp())
        tokens = USAGE.c.prompt_tokens + USAGE.c.completion_tokens
        query = (
            sa.select(USAGE.c.key, sa.func.sum(sa.case((USAGE.c.at >= day, tokens), else_=0)), sa.func.sum(tokens))
            .where(USAGE.c.at >= month, USAGE.c.key != "")
            .group_by(USAGE.c.key)
        )
        with self._database.read_transaction() as connection:
            return [(key, int(of_day), int(of_month)) for key, of_day, of_month in connection.execute(query)]

    def _import_ledger(self, path: Path) -> int:
        """Import the next complete lines of a file; return their number, 0 at its end."""
        name = path.stem
        if path.stat().st_size <= self._read.get(name, -1):
            return 0
        with self._database.write_transaction() as connection:
            where = USAGE_LEDGERS.c.name == name
            start = connection.execute(sa.select(USAGE_LEDGERS.c.read_bytes).where(where).with_for_update()).scalar()
            with path.open("rb") as file:
                file.seek(start or 0)
                data = file.read(_CHUNK_BYTES)
            data = data[: data.rfind(b"\n") + 1]
            end = (start or 0) + len(data)
            records = [row for line in data.splitlines() if (row := _row(line, path))]
            _insert(connection, records, path)
            if start is None:
                connection.execute(sa.insert(USAGE_LEDGERS).values(name=name, read_bytes=end))
            elif data:
                connection.execute(sa.update(USAGE_LEDGERS).where(where).values(read_bytes=end))
        self._read[name] = end
        return len(records) if records else int(bool(data))

    def _sweep(self, path: Path) -> None:
        """Delete a file that is imported completely and has no writer."""
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            while self._import_ledger(path) > 0:
                pass
            path.unlink()
            with self._database.write_transaction() as connection:
                connection.execute(sa.delete(USAGE_LEDGERS).where(USAGE_LEDGERS.c.name == path.stem))
            self._read.pop(path.stem, None)
        except BlockingIOError:
            return
        finally:
            os.close(file)


def _conditions(query: UsageQuery) -> list[sa.ColumnElement[bool]]:
    conditions = [USAGE.c.at >= query.since]
    if query.until is not None:
        conditions.append(USAGE.c.at < query.until)
    if query.is_batch is not None:
        conditions.append(USAGE.c.is_batch == query.is_batch)
    selections = (
        (USAGE.c.project, query.projects),
        (USAGE.c.key, query.keys),
        (USAGE.c.user, query.users),
        (USAGE.c.model, query.models),
        (USAGE.c.endpoint, query.endpoints),
    )
    return conditions + [column.in_(values) for column, values in selections if values]


def _from_row(row: sa.RowMapping, by: Sequence[str]) -> UsageTotal:
    numbers = {name: int(row[name]) for name in ("requests", *_SUMS[:3])}
    return UsageTotal(
        begins=int(row.get("begins", 0)), group={name: row[name] for name in by}, amount=float(row["amount"]), **numbers
    )


def _insert(connection: sa.Connection, records: Sequence[dict[str, object]], path: Path) -> None:
    """Insert records, without those that the database refuses, such as a text with a NUL."""
    if not records:
        return
    try:
        with connection.begin_nested():
            connection.execute(sa.insert(USAGE), records)
    except (DataError, OverflowError, ValueError) as error:
        if len(records) == 1:
            _log.error("skipped a line of %s that cannot be stored: %s", path, error)
            return
        middle = len(records) // 2
        _insert(connection, records[:middle], path)
        _insert(connection, records[middle:], path)


def _remove_stale(path: Path) -> None:
    with contextlib.suppress(FileNotFoundError):  # renamed or deleted by another process
        if path.stat().st_mtime < time.time() - _STALE_S:
            path.unlink()


def _row(line: bytes, path: Path) -> dict[str, object] | None:
    try:
        return msgspec.structs.asdict(msgspec.json.decode(line, type=UsageRecord))
    except msgspec.DecodeError as error:
        _log.error("skipped an invalid line of %s: %s", path, error)
        return None
