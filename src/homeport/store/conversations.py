"""Conversations and their items, and the reservation of a conversation for one response. Synchronous."""

import secrets
import time
from collections.abc import Callable, Mapping, Sequence

import msgspec
import sqlalchemy as sa

from homeport.domain.errors import Conflict, InvalidRequest, NotFound, excerpt
from homeport.domain.paging import Page, PageRequest
from homeport.domain.responses import Conversation, Item
from homeport.store import rows
from homeport.store.conversation_items import (
    append_items,
    check_ids,
    find_conversation,
    find_items,
    missing_conversation,
)
from homeport.store.database import Database
from homeport.store.paging import fetch_page
from homeport.store.project_storage import SqlProjectStorage
from homeport.store.response_columns import MAX_READ_BYTES, size_bytes
from homeport.store.schema import CONVERSATION_ITEMS, CONVERSATIONS

_WRITTEN = ("metadata",)  # columns of JSON


class SqlConversationRepository:
    """The conversations of a database. `storage`: the limits of projects; `now`: the wall clock in seconds.

    Every method with a conversation's id raises NotFound if it does not exist, also for another project's.
    """

    def __init__(
        self, database: Database, storage: SqlProjectStorage | None = None, now: Callable[[], float] = time.time
    ) -> None:
        self._database = database
        self._storage = storage or SqlProjectStorage(database)
        self._now = now

    def create(self, project: str, metadata: Mapping[str, str], items: Sequence[Item]) -> Conversation:
        """Create a conversation that begins with these items.

        Raises InvalidRequest for two items of the same id, or over the project's storage limit; StorageFull.
        """
        conversation = Conversation(
            id=f"conv_{secrets.token_hex(24)}",
            project=project,
            created_at=int(self._now()),
            metadata=dict(metadata),
        )
        text = msgspec.json.encode(conversation.metadata).decode()
        values = {**msgspec.structs.asdict(conversation), "metadata": text, "bytes": size_bytes(text)}
        with self._database.write_transaction() as connection:
            n_bytes = size_bytes(text, *(item.body for item in items))
            self._storage.claim_quickly(connection, project, n_bytes, "items")
            connection.execute(sa.insert(CONVERSATIONS).values(**values, locked_by="", locked_until=0.0))
            check_ids(connection, conversation.id, items)
            append_items(connection, project, conversation.id, items)
        return conversation

    def get(self, project: str, conversation_id: str) -> Conversation:
        """Return one conversation."""
        query = sa.select(CONVERSATIONS).where(_is_own(project, conversation_id))
        with self._database.read_transaction() as connection:
            row = connection.execute(query).mappings().first()
        if row is None:
            raise missing_conversation(conversation_id)
        return rows.value(row, Conversation, _WRITTEN)

    def update(self, project: str, conversation_id: str, metadata: Mapping[str, str]) -> Conversation:
        """Replace the metadata."""
        text = msgspec.json.encode(dict(metadata)).decode()
        values = {"metadata": text, "bytes": size_bytes(text)}
        with self._database.write_transaction() as connection:
            connection.execute(sa.update(CONVERSATIONS).where(_is_own(project, conversation_id)).values(**values))
            row = find_conversation(connection, project, conversation_id)
        return rows.value(row, Conversation, _WRITTEN)

    def delete(self, project: str, conversation_id: str) -> None:
        """Delete a conversation and its items. Responses on it are kept."""
        with self._database.write_transaction() as connection:
            find_conversation(connection, project, conversation_id)
            items = CONVERSATION_ITEMS.c.conversation_id == conversation_id
            connection.execute(sa.delete(CONVERSATION_ITEMS).where(items))
            connection.execute(sa.delete(CONVERSATIONS).where(CONVERSATIONS.c.id == conversation_id))
        self._database.erase_deleted()

    def add_items(self, project: str, conversation_id: str, items: Sequence[Item]) -> None:
        """Append items.

        Raises InvalidRequest for an id that the conversation has already, or over the project's storage limit;
        StorageFull.
        """
        with self._database.write_transaction() as connection:
            self._storage.claim_quickly(connection, project, size_bytes(*(item.body for item in items)), "items")
            find_conversation(connection, project, conversation_id)
            check_ids(connection, conversation_id, items)
            append_items(connection, project, conversation_id, items)

    def items(self, project: str, conversation_id: str) -> Sequence[Item]:
        """Return all items, the oldest first, read in one query, without damaged ones.

        Raises InvalidRequest if they are larger than a response may read.
        """
        of_it = CONVERSATION_ITEMS.c.conversation_id == conversation_id
        total = sa.select(sa.func.coalesce(sa.func.sum(CONVERSATION_ITEMS.c.bytes), 0)).where(of_it)
        query = sa.select(CONVERSATION_ITEMS.c.id, CONVERSATION_ITEMS.c.body).where(of_it)
        with self._database.read_transaction() as connection:
            _check_exists(connection, project, conversation_id)
            n_bytes = int(connection.execute(total).scalar_one())
            if n_bytes > MAX_READ_BYTES:
                raise InvalidRequest(
                    f"The items of the conversation have {n_bytes} bytes, more than the {MAX_READ_BYTES} that a "
                    "response can read. Delete items, or create a new conversation.",
                    param="conversation",
                    code="conversation_too_large",
                )
            return _read_items(connection.execute(query.order_by(CONVERSATION_ITEMS.c.seq)).mappings().all())

    def list_items(self, project: str, conversation_id: str, page: PageRequest) -> Page[Item]:
        """Return a page of the items. Raises InvalidRequest for an unknown `after`."""
        with self._database.read_transaction() as connection:
            _check_exists(connection, project, conversation_id)
            return fetch_page(
                connection,
                CONVERSATION_ITEMS,
                page,
                CONVERSATION_ITEMS.c.conversation_id == conversation_id,
                lambda records: rows.values(records, Item),
            )

    def get_item(self, project: str, conversation_id: str, item_id: str) -> Item:
        """Return one item. Raises NotFound."""
        query = sa.select(CONVERSATION_ITEMS).where(_is_item(conversation_id, item_id))
        with self._database.read_transaction() as connection:
            _check_exists(connection, project, conversation_id)
            row = connection.execute(query).mappings().first()
        if row is None:
            raise _missing_item(conversation_id, item_id)
        return rows.value(row, Item)

    def find_items(self, project: str, ids: Sequence[str]) -> Sequence[Item]:
        """Return the items with these ids, of all conversations of a project, the oldest first."""
        with self._database.read_transaction() as connection:
            return find_items(connection, project, ids)

    def delete_item(self, project: str, conversation_id: str, item_id: str) -> None:
        """Delete one item. Raises NotFound."""
        query = sa.delete(CONVERSATION_ITEMS).where(_is_item(conversation_id, item_id))
        with self._database.write_transaction() as connection:
            find_conversation(connection, project, conversation_id)
            if connection.execute(query).rowcount == 0:
                raise _missing_item(conversation_id, item_id)
        self._database.erase_deleted()

    def lock(self, project: str, conversation_id: str, owner: str, lease_s: float) -> None:
        """Reserve a conversation for one response, or extend the reservation that `owner` has.

        Raises Conflict while another one has it.
        """
        now = self._now()
        is_free = sa.or_(CONVERSATIONS.c.locked_until <= now, CONVERSATIONS.c.locked_by == owner)
        query = sa.update(CONVERSATIONS).where(_is_own(project, conversation_id), is_free)
        with self._database.write_transaction() as connection:
            query = query.values(locked_by=owner, locked_until=now + lease_s)
            if connection.execute(query).rowcount == 0:
                _check_exists(connection, project, conversation_id)
                raise Conflict(
                    "Another process is currently operating on this conversation. Please retry in a few seconds.",
                    code="conversation_locked",
                )

    def unlock(self, conversation_id: str, owner: str) -> None:
        """End a reservation, if `owner` has it."""
        where = sa.and_(CONVERSATIONS.c.id == conversation_id, CONVERSATIONS.c.locked_by == owner)
        with self._database.write_transaction() as connection:
            connection.execute(sa.update(CONVERSATIONS).where(where).values(locked_by="", locked_until=0.0))


def _is_own(project: str, conversation_id: str) -> sa.ColumnElement[bool]:
    return sa.and_(CONVERSATIONS.c.id == conversation_id, CONVERSATIONS.c.project == project)


def _is_item(conversation_id: str, item_id: str) -> sa.ColumnElement[bool]:
    return sa.and_(CONVERSATION_ITEMS.c.conversation_id == conversation_id, CONVERSATION_ITEMS.c.id == item_id)


def _read_items(found: Sequence[sa.RowMapping]) -> Sequence[Item]:
    """Convert ids and bodies, without damaged ones. All at once, because a response waits for hundreds of items."""
    try:
        return msgspec.convert([{"id": row["id"], "body": row["body"]} for row in found], list[Item])
    except msgspec.ValidationError:
        return list(rows.values(found, Item))


def _check_exists(connection: sa.Connection, project: str, conversation_id: str) -> None:
    query = sa.select(CONVERSATIONS.c.seq).where(_is_own(project, conversation_id))
    if connection.execute(query).first() is None:
        raise missing_conversation(conversation_id)


def _missing_item(conversation_id: str, item_id: str) -> NotFound:
    return NotFound(
        f"Item with id '{excerpt(item_id, 100)}' not found in the conversation '{conversation_id}'.",
        param="item_id",
        code="item_not_found",
    )
