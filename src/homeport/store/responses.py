"""Stored responses: their rows, the chains that they form, and the queue of background ones. Synchronous.

The server that runs a background response owns it by a row of `response_runs` with a lease. Every change by that server
checks its ownership in the same transaction, so a process that was suspended for long changes nothing of a response
that another one has taken over. All transactions lock a run before its response.
"""

import time
from collections.abc import Callable, Sequence

import msgspec
import sqlalchemy as sa

from homeport.domain.errors import InvalidRequest, NotFound
from homeport.domain.responses import ResponseEnd, ResponseEvent, StoredResponse
from homeport.store.conversation_items import find_conversation
from homeport.store.database import Database
from homeport.store.project_storage import SqlProjectStorage
from homeport.store.response_columns import MAX_READ_BYTES, size_bytes
from homeport.store.response_events import append_events, read_events_after
from homeport.store.response_queries import chain_query, expired_query, free_query, response_of
from homeport.store.response_rows import (
    check_owned,
    continue_conversation,
    delete_responses,
    end_run,
    find_owned,
    missing_previous_response,
    missing_response,
    response_from_row,
    response_to_row,
    update_response,
    with_status,
)
from homeport.store.schema import RESPONSE_RUNS, RESPONSES

_SWEEP_ROWS = 500


class SqlResponseRepository:
    """The responses of a database. `storage`: the limits of projects; `now`: the wall clock in seconds."""

    def __init__(
        self, database: Database, storage: SqlProjectStorage | None = None, now: Callable[[], float] = time.time
    ) -> None:
        self._database = database
        self._storage = storage or SqlProjectStorage(database)
        self._now = now
        self._damaged: set[int] = set()  # numbers of runs whose responses cannot be read

    def add(self, response: StoredResponse, events: Sequence[ResponseEvent] = ()) -> None:
        """Store a response, with the first events of a background one.

        If it is completed or incomplete, its items are added to its conversation in the same transaction; one that
        failed or was cancelled leaves its conversation unchanged. Raises InvalidRequest over the project's storage
        limit, NotFound if its conversation is deleted, StorageFull.
        """
        row = response_to_row(response)
        n_bytes = int(row["bytes"]) + size_bytes(*(event.body for event in events))
        with self._database.write_transaction() as connection:
            self._storage.claim_quickly(connection, response.project, n_bytes, "store")
            if response.conversation_id is not None:
                find_conversation(connection, response.project, response.conversation_id)
            connection.execute(sa.insert(RESPONSES).values(**row))
            append_events(connection, response.project, response.id, events)
            if response.is_background and not response.has_ended:
                run = {"response_id": response.id, "owner": "", "owned_until": 0.0, "is_cancelling": False}
                connection.execute(sa.insert(RESPONSE_RUNS).values(**run))
            continue_conversation(connection, response)

    def get(self, project: str, response_id: str) -> StoredResponse:
        """Return one response. Raises NotFound."""
        with self._database.read_transaction() as connection:
            return self._find(connection, project, response_id)

    def chain(self, project: str, response_id: str) -> Sequence[StoredResponse]:
        """Return a response and all that it continues, the oldest first, read in one query.

        Raises NotFound if it does not exist or has expired, or if one that it continues was deleted; InvalidRequest if
        the chain is larger than a response may read.
        """
        with self._database.read_transaction() as connection:
            found = connection.execute(chain_query(project, response_id, self._now())).mappings().all()
        if not found:
            raise missing_previous_response(response_id)
        chain = sorted(found, key=lambda row: int(row["seq"]))
        if chain[0]["total"] > MAX_READ_BYTES:
            raise InvalidRequest(
                f"The response and those that it continues have more than {MAX_READ_BYTES} bytes. Send the items that "
                "matter as the input of a response that continues none.",
                param="previous_response_id",
                code="previous_responses_too_large",
            )
        if chain[0]["previous_id"] is not None:
            raise missing_previous_response(chain[0]["previous_id"])
        return [response_from_row(row) for row in chain]

    def delete(self, project: str, response_id: str) -> None:
        """Delete a response, its items and its events; those in a conversation stay there. Raises NotFound."""
        with self._database.write_transaction() as connection:
            self._check_exists(connection, project, response_id)
            delete_responses(connection, [response_id])
        self._database.erase_deleted()

    def cancel(self, project: str, response_id: str) -> StoredResponse:
        """Ask to end a background response, and return it. One without an owner is cancelled at once.

        One that has ended is returned as it is. Raises NotFound, or InvalidRequest if it is not a background response.
        """
        run = RESPONSE_RUNS.c.response_id == response_id
        with self._database.write_transaction() as connection:
            lease = connection.execute(sa.select(RESPONSE_RUNS.c.owned_until).where(run).with_for_update()).scalar()
            response = self._find(connection, project, response_id)
            if not response.is_background:
                raise InvalidRequest("Cannot cancel a synchronous response.", param="response_id")
            if lease is None:
                return response
            if lease > self._now():
                connection.execute(sa.update(RESPONSE_RUNS).where(run).values(is_cancelling=True))
                return response
            return end_run(connection, with_status(response, "cancelled"))

    def claim(self, owner: str, lease_s: float) -> StoredResponse | None:
        """Take ownership of the oldest background response that is neither over nor owned; None: there is none.

        Its status is `queued` if no server ever ran it. Damaged and expired ones are skipped.
        """
        while True:
            with self._database.read_transaction() as connection:
                row = connection.execute(free_query(self._damaged, self._now())).mappings().first()
            if row is None:
                return None  # the usual case, which needs no write lock
            try:
                response_from_row(row)
                break
            except NotFound:
                self._damaged.add(row["run"])
        with self._database.write_transaction() as connection:
            query = free_query(self._damaged, self._now()).with_for_update(of=RESPONSE_RUNS, skip_locked=True)
            row = connection.execute(query).mappings().first()
            if row is None:
                return None
            lease = {"owner": owner, "owned_until": self._now() + lease_s}
            connection.execute(sa.update(RESPONSE_RUNS).where(RESPONSE_RUNS.c.seq == row["run"]).values(**lease))
            return response_from_row(row)

    def start(self, owner: str, response_id: str) -> None:
        """Record that a queued response runs from now on. Raises NotFound."""
        with self._database.write_transaction() as connection:
            response = find_owned(connection, owner, response_id)
            if response.status == "queued":
                update_response(connection, with_status(response, "in_progress"))

    def renew(self, owner: str, lease_s: float) -> Sequence[str]:
        """Extend the ownership of all that `owner` owns; return the ids of those that are to be cancelled."""
        mine = RESPONSE_RUNS.c.owner == owner
        cancelled = sa.select(RESPONSE_RUNS.c.response_id).where(mine, RESPONSE_RUNS.c.is_cancelling)
        with self._database.write_transaction() as connection:
            connection.execute(sa.update(RESPONSE_RUNS).where(mine).values(owned_until=self._now() + lease_s))
            return connection.execute(cancelled.order_by(RESPONSE_RUNS.c.seq)).scalars().all()

    def add_events(self, owner: str, response_id: str, events: Sequence[ResponseEvent]) -> None:
        """Append events of a running response, without those that are stored already. Raises NotFound."""
        project = sa.select(RESPONSES.c.project).where(RESPONSES.c.id == response_id)
        with self._database.write_transaction() as connection:
            check_owned(connection, owner, response_id)
            append_events(connection, connection.execute(project).scalar_one(), response_id, events)

    def finish(self, owner: str, response_id: str, end: ResponseEnd) -> None:
        """End a background response: its last events, body and items, also those of its conversation, are stored
        together.

        The limit of its project does not apply, since the work is done. A conversation that was deleted meanwhile
        receives nothing. Raises NotFound.
        """
        with self._database.write_transaction() as connection:
            response = find_owned(connection, owner, response_id)
            response = msgspec.structs.replace(response, status=end.status, body=end.body, output=end.output)
            append_events(connection, response.project, response_id, end.events)
            response = end_run(connection, response)
            try:
                continue_conversation(connection, response)
            except NotFound:
                return

    def list_events(self, project: str, response_id: str, after: int, limit: int) -> Sequence[ResponseEvent]:
        """Return at most `limit` events of a background response whose numbers are above `after`, in order.

        Raises NotFound if the response does not exist.
        """
        with self._database.read_transaction() as connection:
            self._check_exists(connection, project, response_id)
            return read_events_after(connection, response_id, after, limit)

    def sweep(self) -> int:
        """Delete what has expired and is part of no chain that has not; return the number of responses.

        A response that a server runs is deleted after its end.
        """
        query = expired_query(self._now()).limit(_SWEEP_ROWS)
        with self._database.read_transaction() as connection:
            is_any = connection.execute(query).first() is not None
        n_deleted = 0
        while is_any:
            with self._database.write_transaction() as connection:
                expired_ids = connection.execute(query).scalars().all()
                delete_responses(connection, expired_ids)
            n_deleted += len(expired_ids)
            is_any = len(expired_ids) == _SWEEP_ROWS
        self._database.erase_deleted()
        return n_deleted

    def _find(self, connection: sa.Connection, project: str, response_id: str) -> StoredResponse:
        query = sa.select(RESPONSES).where(response_of(project, response_id, self._now()))
        row = connection.execute(query).mappings().first()
        if row is None:
            raise missing_response(response_id)
        return response_from_row(row)

    def _check_exists(self, connection: sa.Connection, project: str, response_id: str) -> None:
        query = sa.select(RESPONSES.c.seq).where(response_of(project, response_id, self._now()))
        if connection.execute(query).first() is None:
            raise missing_response(response_id)
