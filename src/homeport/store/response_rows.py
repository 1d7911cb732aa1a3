"""Responses as rows: how they are converted, changed and deleted within a transaction of `responses`. Synchronous."""

from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from homeport.domain.errors import NotFound, excerpt
from homeport.domain.responses import StoredResponse
from homeport.store import rows
from homeport.store.conversation_items import append_items, find_conversation
from homeport.store.response_columns import read_items, set_status, size_bytes, write_items
from homeport.store.schema import RESPONSE_EVENTS, RESPONSE_RUNS, RESPONSES

_READERS: rows.Readers = {"input": read_items, "output": read_items}
_TEXTS = ("body", "input", "output", "request")
_CONTINUED = ("completed", "incomplete")  # the ends after which a conversation has the items of a response


def response_to_row(response: StoredResponse) -> dict[str, Any]:
    """Return the row of a response."""
    values = {name: getattr(response, name) for name in response.__struct_fields__}
    values |= {"input": write_items(response.input), "output": write_items(response.output)}
    return {**values, "bytes": size_bytes(*(values[name] for name in _TEXTS))}


def response_from_row(row: sa.RowMapping) -> StoredResponse:
    """Return the response of a row. Raises NotFound for a damaged row."""
    return rows.value(row, StoredResponse, readers=_READERS)


def check_owned(connection: sa.Connection, owner: str, response_id: str) -> None:
    """Lock the run of a response until the transaction ends. Raises NotFound if `owner` does not own it."""
    where = sa.and_(RESPONSE_RUNS.c.response_id == response_id, RESPONSE_RUNS.c.owner == owner)
    if connection.execute(sa.select(RESPONSE_RUNS.c.seq).where(where).with_for_update()).first() is None:
        raise missing_response(response_id)


def find_owned(connection: sa.Connection, owner: str, response_id: str) -> StoredResponse:
    """Return a response that `owner` owns. Raises NotFound."""
    check_owned(connection, owner, response_id)
    query = sa.select(RESPONSES).where(RESPONSES.c.id == response_id)
    return response_from_row(connection.execute(query).mappings().one())


def update_response(connection: sa.Connection, response: StoredResponse) -> None:
    """Write a changed response."""
    query = sa.update(RESPONSES).where(RESPONSES.c.id == response.id)
    connection.execute(query.values(**response_to_row(response)))


def with_status(response: StoredResponse, status: str) -> StoredResponse:
    """Return a response with another status, also in its body. Raises NotFound for a damaged body."""
    try:
        body = set_status(response.body, status)
    except msgspec.MsgspecError as error:
        raise rows.damaged(response.id, error) from error
    return msgspec.structs.replace(response, status=status, body=body)


def end_run(connection: sa.Connection, response: StoredResponse) -> StoredResponse:
    """Write a background response that has ended: no server owns it, and its request is not needed any more."""
    ended = msgspec.structs.replace(response, request="")
    update_response(connection, ended)
    connection.execute(sa.delete(RESPONSE_RUNS).where(RESPONSE_RUNS.c.response_id == response.id))
    return ended


def continue_conversation(connection: sa.Connection, response: StoredResponse) -> None:
    """Append the items of a response that is completed or incomplete to its conversation. Raises NotFound."""
    if response.conversation_id is None or response.status not in _CONTINUED:
        return
    find_conversation(connection, response.project, response.conversation_id)
    append_items(connection, response.project, response.conversation_id, (*response.input, *response.output))


def delete_responses(connection: sa.Connection, response_ids: Sequence[str]) -> None:
    """Delete responses, their runs and their events."""
    for column in (RESPONSE_RUNS.c.response_id, RESPONSE_EVENTS.c.response_id, RESPONSES.c.id):
        connection.execute(sa.delete(column.table).where(column.in_(response_ids)))


def missing_response(response_id: str) -> NotFound:
    """Make the error for a response that does not exist."""
    return NotFound(
        f"Response with id '{excerpt(response_id, 100)}' not found.", param="response_id", code="response_not_found"
    )


def missing_previous_response(response_id: str) -> NotFound:
    """Make the error for a response that is continued and does not exist."""
    return NotFound(
        f"Previous response with id '{excerpt(response_id, 100)}' not found.",
        param="previous_response_id",
        code="previous_response_not_found",
    )
