"""The events of background responses, several to a row, so that writing and counting them is cheap. Synchronous.

Runs in the transactions of `responses`, which checks whose response it is.
"""

from collections.abc import Sequence

import msgspec
import sqlalchemy as sa

from homeport.domain.responses import ResponseEvent
from homeport.store import rows
from homeport.store.response_columns import read_events, size_bytes, write_events
from homeport.store.schema import RESPONSE_EVENTS as TABLE

_ROW_EVENTS = 64
_ROW_PAGE = 4


def append_events(connection: sa.Connection, project: str, response_id: str, events: Sequence[ResponseEvent]) -> None:
    """Append events to a response's, without those that it has already: a repeated call changes nothing."""
    if not events:
        return
    query = sa.select(sa.func.max(TABLE.c.last)).where(TABLE.c.response_id == response_id)
    last = connection.execute(query).scalar()
    fresh = [event for event in events if last is None or event.number > last]
    new_rows = []
    for start in range(0, len(fresh), _ROW_EVENTS):
        part = fresh[start : start + _ROW_EVENTS]
        text = write_events(part)
        new_rows.append(
            {
                "response_id": response_id,
                "first": part[0].number,
                "last": part[-1].number,
                "project": project,
                "bytes": size_bytes(text),
                "events": text,
            }
        )
    if new_rows:
        connection.execute(sa.insert(TABLE), new_rows)


def read_events_after(connection: sa.Connection, response_id: str, after: int, limit: int) -> Sequence[ResponseEvent]:
    """Return at most `limit` events whose numbers are above `after`, in order. Raises NotFound for a damaged row."""
    found: list[ResponseEvent] = []
    last = after
    while len(found) < limit:
        query = sa.select(TABLE.c.last, TABLE.c.events).where(TABLE.c.response_id == response_id, TABLE.c.last > last)
        page = connection.execute(query.order_by(TABLE.c.first).limit(_ROW_PAGE)).all()
        for _, text in page:
            found += [event for event in _read(response_id, text) if event.number > after]
        if len(page) < _ROW_PAGE:
            break
        last = page[-1][0]
    return found[:limit]


def _read(response_id: str, text: str) -> Sequence[ResponseEvent]:
    try:
        return read_events(text)
    except msgspec.MsgspecError as error:
        raise rows.damaged(response_id, error) from error
