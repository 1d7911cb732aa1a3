"""Fine-tuning jobs as callers see them: jobs, events and checkpoints. Synchronous.

A job's status changes in the same transaction that adds the event about it.
"""

import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import msgspec
import sqlalchemy as sa

from homeport.domain.errors import InvalidRequest, NotFound, Overloaded
from homeport.domain.fine_tuning import (
    ACTIVE_STATUSES,
    ENDED,
    UNFINISHED_STATUSES,
    FineTuningCheckpoint,
    FineTuningEvent,
    FineTuningJob,
    JobStatus,
)
from homeport.domain.paging import Page, PageRequest
from homeport.store import rows
from homeport.store.database import Database
from homeport.store.paging import fetch_page, of_project
from homeport.store.schema import FINE_TUNE_CHECKPOINTS, FINE_TUNE_EVENTS, FINE_TUNES

S = TypeVar("S", bound=msgspec.Struct)

_BUSY_S = 60.0
_WRITTEN = ("hyperparameters", "metadata", "error")
"""The columns of JSON."""


class SqlFineTuningRepository:
    """The jobs of a database. `now`: the wall clock in seconds."""

    def __init__(self, database: Database, now: Callable[[], float] = time.time) -> None:
        self._database = database
        self._now = now

    def create(self, job: FineTuningJob, max_waiting: int) -> FineTuningJob:
        """Store a new job. Raises Overloaded if its server has `max_waiting` jobs in the queue."""
        now = int(self._now())
        job = msgspec.structs.replace(job, status="queued", created_at=now, updated_at=now)
        with self._database.write_transaction() as connection:
            mine = sa.select(sa.func.count()).where(FINE_TUNES.c.server == job.server)
            waiting = connection.execute(mine.where(FINE_TUNES.c.status == "queued")).scalar_one()
            if waiting >= max_waiting:
                raise Overloaded(
                    f"{waiting} fine-tuning jobs are in the queue, which is full: try again when one has ended.",
                    retry_after_s=_BUSY_S,
                )
            ahead = waiting + connection.execute(mine.where(FINE_TUNES.c.status.in_(ACTIVE_STATUSES))).scalar_one()
            connection.execute(sa.insert(FINE_TUNES).values(**job_to_row(job), seen_at=now, is_tidy=False))
            add_event(connection, job.id, now, f"Created fine-tuning job: {job.id}")
            add_event(
                connection, job.id, now, f"Job enqueued. Waiting for jobs ahead to complete. Queue number: {ahead}."
            )
        return job

    def list_page(
        self, project: str | None, page: PageRequest, metadata: Mapping[str, str] | None = None
    ) -> Page[FineTuningJob]:
        """Return a page of a project's jobs. Raises InvalidRequest for an unknown `after`.

        `project`: None for all, as in `list_events` and `list_checkpoints`. `metadata`: only jobs with these pairs;
        empty: only jobs without metadata; None: all.
        """

        def read(records: Iterable[sa.RowMapping]) -> Iterator[FineTuningJob]:
            return (job for job in jobs_of(records) if _matches_metadata(job, metadata))

        with self._database.read_transaction() as connection:
            return fetch_page(connection, FINE_TUNES, page, of_project(FINE_TUNES, project), read)

    def get(self, project: str, job_id: str) -> FineTuningJob:
        """Return a job. Raises NotFound, also for another project's."""
        with self._database.read_transaction() as connection:
            return _find_job(connection, project, job_id)

    def list_events(self, project: str | None, job_id: str, page: PageRequest) -> Page[FineTuningEvent]:
        """Return a page of a job's events. Raises NotFound, or InvalidRequest for an unknown `after`."""
        return self._list_related(FINE_TUNE_EVENTS, FineTuningEvent, "data", project, job_id, page)

    def list_checkpoints(self, project: str | None, job_id: str, page: PageRequest) -> Page[FineTuningCheckpoint]:
        """Return a page of a job's checkpoints. Raises NotFound, or InvalidRequest for an unknown `after`."""
        return self._list_related(FINE_TUNE_CHECKPOINTS, FineTuningCheckpoint, "metrics", project, job_id, page)

    def cancel(self, project: str, job_id: str) -> FineTuningJob:
        """Cancel a job. Raises NotFound, or InvalidRequest for one that has ended."""
        now = int(self._now())
        return self._change_status(
            project, job_id, UNFINISHED_STATUSES, {"status": "cancelled", "finished_at": now}, "Job cancelled."
        )

    def pause(self, project: str, job_id: str) -> FineTuningJob:
        """Pause a job until it is resumed. Raises NotFound, or InvalidRequest for one that is paused or has ended."""
        return self._change_status(project, job_id, ("queued", *ACTIVE_STATUSES), {"status": "paused"}, "Job paused.")

    def resume(self, project: str, job_id: str) -> FineTuningJob:
        """Return a paused job to the queue. Raises NotFound, or InvalidRequest for one that is not paused."""
        return self._change_status(
            project, job_id, ("paused",), {"status": "queued"}, "Job resumed. It is in the queue again."
        )

    def _change_status(
        self, project: str, job_id: str, sources: Sequence[JobStatus], values: Mapping[str, Any], message: str
    ) -> FineTuningJob:
        now = int(self._now())
        with self._database.write_transaction() as connection:
            job = _find_job(connection, project, job_id)
            if job.status not in sources:
                how = "has ended" if job.status in ENDED else "is active"
                raise InvalidRequest(
                    f"The fine-tuning job {job_id} {how} ({job.status}): it cannot be {values['status']} now.",
                    code="invalid_job_state",
                )
            change_status(connection, job_id, sources, {**values, "updated_at": now, "estimated_finish": None})
            add_event(connection, job_id, now, message)
            return _find_job(connection, project, job_id)

    def _list_related(
        self, table: sa.Table, kind: type[S], json_column: str, project: str | None, job_id: str, page: PageRequest
    ) -> Page[S]:
        with self._database.read_transaction() as connection:
            _find_job(connection, project, job_id)
            return fetch_page(
                connection,
                table,
                page,
                table.c.job == job_id,
                lambda records: rows.values(records, kind, (json_column,)),
            )


def job_to_row(job: FineTuningJob) -> dict[str, Any]:
    """Return the row of a job."""
    values = msgspec.structs.asdict(job)
    written = {name: None if values[name] is None else msgspec.json.encode(values[name]).decode() for name in _WRITTEN}
    return values | written


def jobs_of(records: Iterable[sa.RowMapping]) -> Iterator[FineTuningJob]:
    """Convert rows to jobs, without damaged ones."""
    return rows.values(records, FineTuningJob, _WRITTEN)


def change_status(
    connection: sa.Connection, job_id: str, sources: Sequence[JobStatus], values: Mapping[str, Any]
) -> bool:
    """Change a job if it has one of these statuses; return whether it had."""
    query = sa.update(FINE_TUNES).where(FINE_TUNES.c.id == job_id, FINE_TUNES.c.status.in_(sources)).values(**values)
    return connection.execute(query).rowcount > 0


def add_event(connection: sa.Connection, job_id: str, at: int, message: str, **more: Any) -> None:
    """Add an event to a job. `more`: `level`, `type`, `data`."""
    event = FineTuningEvent(id=f"ftevent-{secrets.token_hex(12)}", created_at=at, message=message, **more)
    values = msgspec.structs.asdict(event)
    data = None if event.data is None else msgspec.json.encode(event.data).decode()
    connection.execute(sa.insert(FINE_TUNE_EVENTS).values(**values | {"job": job_id, "data": data}))


def _find_job(connection: sa.Connection, project: str | None, job_id: str) -> FineTuningJob:
    query = sa.select(FINE_TUNES).where(FINE_TUNES.c.id == job_id, of_project(FINE_TUNES, project))
    row = connection.execute(query).mappings().first()
    if row is None:
        raise NotFound(f"Could not find fine tune: {job_id[:100]}", param="fine_tune_id", code="fine_tune_not_found")
    return rows.value(row, FineTuningJob, _WRITTEN)


def _matches_metadata(job: FineTuningJob, metadata: Mapping[str, str] | None) -> bool:
    if metadata is None:
        return True
    own = job.metadata or {}
    return all(own.get(key) == value for key, value in metadata.items()) if metadata else not own
