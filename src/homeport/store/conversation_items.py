"""The items of conversations, which their callers and the responses on them append. Synchronous.

Runs in the transactions of `responses` and `conversations`, each of which locks the conversation first, so that the
items of one transaction stay together.
"""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from homeport.domain.errors import InvalidRequest, NotFound, excerpt
from homeport.domain.responses import Item
from homeport.store import rows
from homeport.store.response_columns import size_bytes
from homeport.store.schema import CONVERSATION_ITEMS as TABLE
from homeport.store.schema import CONVERSATIONS

_ID_PAGE = 500


def find_conversation(connection: sa.Connection, project: str, conversation_id: str) -> sa.RowMapping:
    """Return the row of a conversation, locked until the transaction ends. Raises NotFound."""
    where = sa.and_(CONVERSATIONS.c.id == conversation_id, CONVERSATIONS.c.project == project)
    row = connection.execute(sa.select(CONVERSATIONS).where(where).with_for_update()).mappings().first()
    if row is None:
        raise missing_conversation(conversation_id)
    return row


def missing_conversation(conversation_id: str) -> NotFound:
    """Make the error for a conversation that does not exist."""
    return NotFound(
        f"Conversation with id '{excerpt(conversation_id, 100)}' not found.",
        param="conversation_id",
        code="conversation_not_found",
    )


def check_ids(connection: sa.Connection, conversation_id: str, items: Sequence[Item]) -> None:
    """Raise InvalidRequest if two of these items, or one and an item of the conversation, have the same id."""
    ids = [item.id for item in items]
    known: set[str] = set()
    for start in range(0, len(ids), _ID_PAGE):
        part = ids[start : start + _ID_PAGE]
        query = sa.select(TABLE.c.id).where(TABLE.c.conversation_id == conversation_id, TABLE.c.id.in_(part))
        known.update(connection.execute(query).scalars())
    for item_id in ids:
        if item_id in known:
            raise InvalidRequest(
                f"The conversation already has an item with the id '{excerpt(item_id)}'. Use another id, or none.",
                param="items",
                code="duplicate_item_id",
            )
        known.add(item_id)


def find_items(connection: sa.Connection, project: str, ids: Sequence[str]) -> Sequence[Item]:
    """Return the items with these ids, of all conversations of a project, the oldest first, without damaged ones."""
    found: list[sa.RowMapping] = []
    for start in range(0, len(ids), _ID_PAGE):
        part = ids[start : start + _ID_PAGE]
        query = sa.select(TABLE).where(TABLE.c.project == project, TABLE.c.id.in_(part))
        found += connection.execute(query).mappings().all()
    return list(rows.values(sorted(found, key=lambda row: int(row["seq"])), Item))


def append_items(connection: sa.Connection, project: str, conversation_id: str, items: Sequence[Item]) -> None:
    """Append items to a conversation, without those whose ids it has already."""
    if not items:
        return
    new_rows: list[dict[str, Any]] = [
        {
            "conversation_id": conversation_id,
            "id": item.id,
            "project": project,
            "bytes": size_bytes(item.body),
            "body": item.body,
        }
        for item in items
    ]
    connection.execute(_insert_new(connection), new_rows)


def _insert_new(connection: sa.Connection) -> sa.Insert:
    if connection.dialect.name == "postgresql":
        return postgresql.insert(TABLE).on_conflict_do_nothing(index_elements=["conversation_id", "id"])
    return sqlite.insert(TABLE).on_conflict_do_nothing(index_elements=["conversation_id", "id"])
