"""The rows of batches, and the results of their lines until these are in files. Synchronous.

A server changes a batch only while it owns it, in one transaction. So a process that was suspended for long and resumes
changes nothing of a batch that another one has taken over.
"""

import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa

from homeport.domain.batches import (
    ENDED,
    OUTPUT,
    Batch,
    BatchError,
    LineResult,
    NewBatch,
)
from homeport.domain.errors import InvalidRequest, NotFound
from homeport.domain.files import File, NewFile
from homeport.domain.paging import Page, PageRequest
from homeport.store import rows
from homeport.store.database import Database
from homeport.store.files import SqlFileRepository
from homeport.store.paging import fetch_page, of_project
from homeport.store.schema import BATCH_RESULTS, BATCHES

WINDOW_S = 86_400
_PAGE = 200
_WRITTEN = ("metadata", "errors")  # columns of JSON
_TOKENS = ("input_tokens", "cached_tokens", "output_tokens")


class SqlBatchRepository:
    """The batches of a database. `files`: stores output files; `now`: the wall clock in seconds."""

    def __init__(self, database: Database, files: SqlFileRepository, now: Callable[[], float] = time.time) -> None:
        self._database = database
        self._files = files
        self._now = now
        self._damaged: set[int] = set()  # numbers of rows that cannot be read

    def create(self, new_batch: NewBatch) -> Batch:
        """Create a batch."""
        now = int(self._now())
        batch = Batch(
            **msgspec.structs.asdict(new_batch),
            id=f"batch_{secrets.token_hex(12)}",
            status="validating",
            created_at=now,
            expires_at=now + WINDOW_S,
        )
        with self._database.write_transaction() as connection:
            connection.execute(sa.insert(BATCHES).values(**_row(batch), owner="", owned_until=0.0))
        return batch

    def get(self, project: str, batch_id: str) -> Batch:
        """Return a batch of a project. Raises NotFound, also for another project's."""
        query = sa.select(BATCHES).where(BATCHES.c.id == batch_id, BATCHES.c.project == project)
        with self._database.read_transaction() as connection:
            row = connection.execute(query).mappings().first()
        if row is None:
            raise _missing(batch_id)
        return _batch(row)

    def list_page(self, project: str | None, page: PageRequest) -> Page[Batch]:
        """Return a page of a project's batches (None: of all). Raises InvalidRequest for an unknown `after`."""
        with self._database.read_transaction() as connection:
            return fetch_page(
                connection,
                BATCHES,
                page,
                of_project(BATCHES, project),
                lambda records: rows.values(records, Batch, _WRITTEN),
            )

    def cancel(self, project: str, batch_id: str) -> Batch:
        """Cancel a batch. Raises NotFound, or InvalidRequest for one that has ended or is finalizing."""
        with self._database.write_transaction() as connection:
            where = sa.and_(BATCHES.c.id == batch_id, BATCHES.c.project == project)
            row = connection.execute(sa.select(BATCHES).where(where).with_for_update()).mappings().first()
            if row is None:
                raise _missing(batch_id)
            batch = _batch(row)
            if batch.has_ended or batch.status == "finalizing":
                raise InvalidRequest(f"Cannot cancel a batch with status '{batch.status}'.", code="batch_ended")
            if batch.status == "cancelling":
                return batch
            return self._set(connection, batch, status="cancelling", cancelling_at=int(self._now()))

    def claim(self, owner: str, lease_s: float) -> Batch | None:
        """Take ownership of the oldest unfinished batch without an owner, if there is one. Damaged rows are skipped."""
        free = sa.and_(BATCHES.c.status.not_in(ENDED), BATCHES.c.owned_until <= self._now())
        while True:
            query = sa.select(BATCHES).where(free, BATCHES.c.seq.not_in(self._damaged))
            query = query.order_by(BATCHES.c.seq).limit(1)
            with self._database.read_transaction() as connection:
                row = connection.execute(query).mappings().first()
            if row is None:
                return None  # the usual case, which needs no write lock
            if any(rows.values([row], Batch, _WRITTEN)):
                break
            self._damaged.add(row["seq"])
        with self._database.write_transaction() as connection:
            row = connection.execute(query.with_for_update(skip_locked=True)).mappings().first()
            if row is None:
                return None
            return self._set(connection, _batch(row), owner=owner, owned_until=self._now() + lease_s)

    def renew(self, owner: str, batch_id: str, lease_s: float) -> Batch:
        """Extend the ownership of a batch and return it. Raises NotFound."""
        with self._database.write_transaction() as connection:
            batch = self._find_owned(connection, owner, batch_id)
            return self._set(connection, batch, owned_until=self._now() + lease_s)

    def release(self, owner: str, batch_id: str) -> None:
        """End the ownership of a batch."""
        where = sa.and_(BATCHES.c.id == batch_id, BATCHES.c.owner == owner)
        with self._database.write_transaction() as connection:
            connection.execute(sa.update(BATCHES).where(where).values(owner="", owned_until=0.0))

    def start(self, owner: str, batch_id: str, total: int, model: str | None) -> Batch:
        """Record that the lines are checked and run from now on. Raises NotFound."""
        with self._database.write_transaction() as connection:
            batch = self._find_owned(connection, owner, batch_id)
            if batch.status != "validating":
                return batch
            now = int(self._now())
            return self._set(connection, batch, status="in_progress", in_progress_at=now, total=total, model=model)

    def add_results(self, owner: str, batch_id: str, results: Sequence[LineResult]) -> None:
        """Store results; if a line has one already, that one is kept. Raises NotFound."""
        with self._database.write_transaction() as connection:
            self._record(connection, self._find_owned(connection, owner, batch_id), results)

    def finished_lines(self, batch_id: str) -> set[int]:
        """Return the numbers of the lines that have a result."""
        query = sa.select(BATCH_RESULTS.c.line).where(BATCH_RESULTS.c.batch_id == batch_id)
        with self._database.read_transaction() as connection:
            return set(connection.execute(query).scalars())

    def start_finalizing(
        self, owner: str, batch_id: str, *, errors: Sequence[BatchError] = (), expired: Sequence[LineResult] = ()
    ) -> Batch:
        """Store the results of `expired` lines, after which only files are written. Raises NotFound."""
        now = int(self._now())
        with self._database.write_transaction() as connection:
            batch = self._find_owned(connection, owner, batch_id)
            changes: dict[str, Any] = {"finalizing_at": now, "errors": msgspec.json.encode(errors).decode()}
            if batch.status != "cancelling":
                batch = self._record(connection, batch, expired)
                changes |= {"status": "finalizing", **({"expired_at": now} if expired else {})}
            return self._set(connection, batch, **changes)

    def iterate_results(self, batch_id: str, *, are_answers: bool) -> Iterator[str]:
        """Yield the texts of answers, or of errors, in the order of the lines."""
        table = BATCH_RESULTS
        last: int | None = -1
        while last is not None:
            where = sa.and_(table.c.batch_id == batch_id, table.c.is_answer == are_answers, table.c.line > last)
            query = sa.select(table.c.line, table.c.text).where(where).order_by(table.c.line).limit(_PAGE)
            with self._database.read_transaction() as connection:
                page = connection.execute(query).all()
            last = page[-1][0] if page else None
            for _, text in page:
                yield text

    def create_output_file(self, owner: str, batch: Batch, content: Path, *, are_answers: bool) -> Batch:
        """Store an output file, in the transaction that names it in the batch. Raises NotFound."""
        column, name = ("output_file_id", "output") if are_answers else ("error_file_id", "error")
        changed: list[Batch] = []

        def set_file(connection: sa.Connection, file: File) -> None:
            current = self._find_owned(connection, owner, batch.id)
            if getattr(current, column) is not None:
                raise _missing(batch.id)
            changed.append(self._set(connection, current, **{column: file.id}))

        new_file = NewFile(
            project=batch.project, purpose=OUTPUT, filename=f"{batch.id}_{name}.jsonl", keep_s=batch.keep_s
        )
        self._files.create(new_file, content, set_file)
        return changed[0]

    def finish(self, owner: str, batch_id: str) -> Batch:
        """End a batch whose results are in its files. Raises NotFound."""
        with self._database.write_transaction() as connection:
            batch = self._find_owned(connection, owner, batch_id)
            end = _final_status(batch)
            connection.execute(sa.delete(BATCH_RESULTS).where(BATCH_RESULTS.c.batch_id == batch_id))
            changes = {"status": end, f"{end}_at": int(self._now()), "owner": "", "owned_until": 0.0}
            return self._set(connection, batch, **changes)

    def counts(self) -> Mapping[str, int]:
        """Return the number of batches that have not ended by status, and of the `lines` that they have left."""
        left = sa.func.sum(BATCHES.c.total - BATCHES.c.completed - BATCHES.c.failed)
        query = sa.select(BATCHES.c.status, sa.func.count(), left).where(BATCHES.c.status.not_in(ENDED))
        with self._database.read_transaction() as connection:
            counted = connection.execute(query.group_by(BATCHES.c.status)).all()
        return {**{status: int(n) for status, n, _ in counted}, "lines": sum(int(each) for _, _, each in counted)}

    def _find_owned(self, connection: sa.Connection, owner: str, batch_id: str) -> Batch:
        where = sa.and_(BATCHES.c.id == batch_id, BATCHES.c.owner == owner)
        row = connection.execute(sa.select(BATCHES).where(where).with_for_update()).mappings().first()
        if row is None:
            raise _missing(batch_id)
        return _batch(row)

    def _record(self, connection: sa.Connection, batch: Batch, results: Sequence[LineResult]) -> Batch:
        """Store the results of lines without one, and count them in the same transaction."""
        if not results:
            return batch
        numbers = sa.and_(
            BATCH_RESULTS.c.batch_id == batch.id,
            BATCH_RESULTS.c.line.between(min(each.line for each in results), max(each.line for each in results)),
        )
        known = set(connection.execute(sa.select(BATCH_RESULTS.c.line).where(numbers)).scalars())
        fresh = [each for each in results if each.line not in known]
        if not fresh:
            return batch
        new_rows = [
            {"batch_id": batch.id, "line": each.line, "is_answer": each.is_answer, "text": each.text} for each in fresh
        ]
        connection.execute(sa.insert(BATCH_RESULTS), new_rows)
        answers = sum(each.is_answer for each in fresh)
        sums = {name: getattr(batch, name) + sum(getattr(each, name) for each in fresh) for name in _TOKENS}
        failed = batch.failed + len(fresh) - answers
        return self._set(connection, batch, completed=batch.completed + answers, failed=failed, **sums)

    def _set(self, connection: sa.Connection, batch: Batch, **changes: Any) -> Batch:
        connection.execute(sa.update(BATCHES).where(BATCHES.c.id == batch.id).values(**changes))
        row = connection.execute(sa.select(BATCHES).where(BATCHES.c.id == batch.id)).mappings().one()
        return _batch(row)


def _final_status(batch: Batch) -> str:
    """Return the status with which a batch ends."""
    if batch.errors:
        return "failed"
    if batch.cancelling_at is not None:
        return "cancelled"
    return "completed" if batch.expired_at is None else "expired"


def _row(batch: Batch) -> dict[str, Any]:
    values = msgspec.structs.asdict(batch)
    return {**values, **{name: msgspec.json.encode(values[name]).decode() for name in _WRITTEN}}


def _batch(row: sa.RowMapping) -> Batch:
    return rows.value(row, Batch, _WRITTEN)


def _missing(batch_id: str) -> NotFound:
    return NotFound(f"No such Batch object: {batch_id[:100]}", param="batch_id", code="batch_not_found")
