"""Batches: their rows, and the outcomes of their lines until these stand in files. Synchronous.

Every change by the one who works on a batch is fenced: it is made only while that one owns it, in one transaction, so
that a process that was stopped for long and goes on again spoils nothing that another has taken over.
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
from homeport.store.paging import fetch_page
from homeport.store.schema import BATCH_RESULTS, BATCHES

WINDOW_S = 86_400
_PAGE = 200
_WRITTEN = ("metadata", "errors")  # what stands in the table as JSON
_TOKENS = ("input_tokens", "cached_tokens", "output_tokens")


class SqlBatchRepository:
    """The batches of a database, which makes files; `now` is the wall clock in seconds."""

    def __init__(self, database: Database, files: SqlFileRepository, now: Callable[[], float] = time.time) -> None:
        self._database = database
        self._files = files
        self._now = now
        self._damaged: set[int] = set()  # numbers of rows that cannot be worked on

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
        """One batch of a project. Raises NotFound, also for another project's."""
        query = sa.select(BATCHES).where(BATCHES.c.id == batch_id, BATCHES.c.project == project)
        with self._database.read_transaction() as connection:
            row = connection.execute(query).mappings().first()
        if row is None:
            raise _missing(batch_id)
        return _batch(row)

    def list_page(self, project: str, page: PageRequest) -> Page[Batch]:
        """Return a page of a project's batches. Raises InvalidRequest for an unknown `after`."""
        with self._database.read_transaction() as connection:
            return fetch_page(
                connection,
                BATCHES,
                page,
                BATCHES.c.project == project,
                lambda found: rows.values(found, Batch, _WRITTEN),
            )

    def cancel(self, project: str, batch_id: str) -> Batch:
        """Have a batch end early. Raises NotFound, or InvalidRequest for one that has ended or is being finished."""
        with self._database.write_transaction() as connection:
            where = sa.and_(BATCHES.c.id == batch_id, BATCHES.c.project == project)
            row = connection.execute(sa.select(BATCHES).where(where).with_for_update()).mappings().first()
            if row is None:
                raise _missing(batch_id)
            found = _batch(row)
            if found.has_ended or found.status == "finalizing":
                raise InvalidRequest(f"Cannot cancel a batch with status '{found.status}'.", code="batch_ended")
            if found.status == "cancelling":
                return found
            return self._set(connection, found, status="cancelling", cancelling_at=int(self._now()))

    def claim(self, owner: str, lease_s: float) -> Batch | None:
        """Own the oldest batch that is to be worked on and that nobody owns; None: there is none.

        One whose row is damaged is passed over.
        """
        free = sa.and_(BATCHES.c.status.not_in(ENDED), BATCHES.c.owned_until <= self._now())
        while True:
            query = sa.select(BATCHES).where(free, BATCHES.c.seq.not_in(self._damaged))
            query = query.order_by(BATCHES.c.seq).limit(1)
            with self._database.read_transaction() as connection:
                row = connection.execute(query).mappings().first()
            if row is None:
                return None  # most often: no need to lock anybody out
            if any(rows.values([row], Batch, _WRITTEN)):
                break
            self._damaged.add(row["seq"])
        with self._database.write_transaction() as connection:
            row = connection.execute(query.with_for_update(skip_locked=True)).mappings().first()
            if row is None:
                return None
            return self._set(connection, _batch(row), owner=owner, owned_until=self._now() + lease_s)

    def renew(self, owner: str, batch_id: str, lease_s: float) -> Batch:
        """Own a batch for longer; give it as it stands. Raises NotFound."""
        with self._database.write_transaction() as connection:
            found = self._find_owned(connection, owner, batch_id)
            return self._set(connection, found, owned_until=self._now() + lease_s)

    def release(self, owner: str, batch_id: str) -> None:
        """Own a batch no longer."""
        where = sa.and_(BATCHES.c.id == batch_id, BATCHES.c.owner == owner)
        with self._database.write_transaction() as connection:
            connection.execute(sa.update(BATCHES).where(where).values(owner="", owned_until=0.0))

    def start(self, owner: str, batch_id: str, total: int, model: str | None) -> Batch:
        """Its lines are looked through, and are done from now on. Raises NotFound."""
        with self._database.write_transaction() as connection:
            found = self._find_owned(connection, owner, batch_id)
            if found.status != "validating":
                return found
            now = int(self._now())
            return self._set(connection, found, status="in_progress", in_progress_at=now, total=total, model=model)

    def add_results(self, owner: str, batch_id: str, outcomes: Sequence[LineResult]) -> None:
        """Keep outcomes; of a line that has one, the first stays. Raises NotFound."""
        with self._database.write_transaction() as connection:
            self._record(connection, self._find_owned(connection, owner, batch_id), outcomes)

    def finished_lines(self, batch_id: str) -> set[int]:
        """The numbers of the lines that have an outcome."""
        query = sa.select(BATCH_RESULTS.c.line).where(BATCH_RESULTS.c.batch_id == batch_id)
        with self._database.read_transaction() as connection:
            return set(connection.execute(query).scalars())

    def start_finalizing(
        self, owner: str, batch_id: str, *, errors: Sequence[BatchError] = (), expired: Sequence[LineResult] = ()
    ) -> Batch:
        """No more outcomes are to come but `expired`, for which it is too late; files are next. Raises NotFound."""
        now = int(self._now())
        with self._database.write_transaction() as connection:
            found = self._find_owned(connection, owner, batch_id)
            changes: dict[str, Any] = {"finalizing_at": now, "errors": msgspec.json.encode(errors).decode()}
            if found.status != "cancelling":
                found = self._record(connection, found, expired)
                changes |= {"status": "finalizing", **({"expired_at": now} if expired else {})}
            return self._set(connection, found, **changes)

    def iterate_results(self, batch_id: str, *, are_answers: bool) -> Iterator[str]:
        """The texts of answers, or of the others, in the order of the lines."""
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
        """Make one of its files, in the same moment in which it gets its id. Raises NotFound."""
        column, name = ("output_file_id", "output") if are_answers else ("error_file_id", "error")
        changed: list[Batch] = []

        def set_file(connection: sa.Connection, file: File) -> None:
            found = self._find_owned(connection, owner, batch.id)
            if getattr(found, column) is not None:
                raise _missing(batch.id)
            changed.append(self._set(connection, found, **{column: file.id}))

        new_file = NewFile(
            project=batch.project, purpose=OUTPUT, filename=f"{batch.id}_{name}.jsonl", keep_s=batch.keep_s
        )
        self._files.create(new_file, content, set_file)
        return changed[0]

    def finish(self, owner: str, batch_id: str) -> Batch:
        """It has ended; its outcomes stand in its files. Raises NotFound."""
        with self._database.write_transaction() as connection:
            found = self._find_owned(connection, owner, batch_id)
            end = _final_status(found)
            connection.execute(sa.delete(BATCH_RESULTS).where(BATCH_RESULTS.c.batch_id == batch_id))
            changes = {"status": end, f"{end}_at": int(self._now()), "owner": "", "owned_until": 0.0}
            return self._set(connection, found, **changes)

    def counts(self) -> Mapping[str, int]:
        """How many batches there are of each status but ended ones, and how many `lines` these have left."""
        left = sa.func.sum(BATCHES.c.total - BATCHES.c.completed - BATCHES.c.failed)
        query = sa.select(BATCHES.c.status, sa.func.count(), left).where(BATCHES.c.status.not_in(ENDED))
        with self._database.read_transaction() as connection:
            rows = connection.execute(query.group_by(BATCHES.c.status)).all()
        return {**{status: int(n) for status, n, _ in rows}, "lines": sum(int(each) for _, _, each in rows)}

    def _find_owned(self, connection: sa.Connection, owner: str, batch_id: str) -> Batch:
        where = sa.and_(BATCHES.c.id == batch_id, BATCHES.c.owner == owner)
        row = connection.execute(sa.select(BATCHES).where(where).with_for_update()).mappings().first()
        if row is None:
            raise _missing(batch_id)
        return _batch(row)

    def _record(self, connection: sa.Connection, batch: Batch, outcomes: Sequence[LineResult]) -> Batch:
        """Keep what is new of these, and count it in the same transaction."""
        if not outcomes:
            return batch
        numbers = sa.and_(
            BATCH_RESULTS.c.batch_id == batch.id,
            BATCH_RESULTS.c.line.between(min(each.line for each in outcomes), max(each.line for each in outcomes)),
        )
        known = set(connection.execute(sa.select(BATCH_RESULTS.c.line).where(numbers)).scalars())
        fresh = [each for each in outcomes if each.line not in known]
        if not fresh:
            return batch
        rows = [
            {"batch_id": batch.id, "line": each.line, "is_answer": each.is_answer, "text": each.text} for each in fresh
        ]
        connection.execute(sa.insert(BATCH_RESULTS), rows)
        answers = sum(each.is_answer for each in fresh)
        sums = {name: getattr(batch, name) + sum(getattr(each, name) for each in fresh) for name in _TOKENS}
        failed = batch.failed + len(fresh) - answers
        return self._set(connection, batch, completed=batch.completed + answers, failed=failed, **sums)

    def _set(self, connection: sa.Connection, batch: Batch, **changes: Any) -> Batch:
        connection.execute(sa.update(BATCHES).where(BATCHES.c.id == batch.id).values(**changes))
        row = connection.execute(sa.select(BATCHES).where(BATCHES.c.id == batch.id)).mappings().one()
        return _batch(row)


def _final_status(batch: Batch) -> str:
    """How a batch that is finished has ended."""
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
