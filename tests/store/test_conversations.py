"""Conversations, their items and their reservations, on SQLite and PostgreSQL."""

import concurrent.futures
from collections.abc import Callable

import pytest
import sqlalchemy as sa

from homeport.domain.errors import Conflict, InvalidRequest, NotFound
from homeport.domain.paging import Page, PageRequest
from homeport.domain.responses import Conversation
from homeport.store import conversations
from homeport.store.database import Database
from homeport.store.schema import CONVERSATION_ITEMS, CONVERSATIONS
from tests.store.response_store import NOW, ResponseStore, item


@pytest.fixture
def store(database: Database) -> ResponseStore:
    return ResponseStore(database)


def test_a_conversation_is_kept_as_it_was_made(store: ResponseStore) -> None:
    """A conversation is returned with its id, time, metadata and items; new metadata replaces all of the old."""
    made = store.conversations.create("one", {"a": "é", "b": "2"}, [item("x"), item("y")])
    assert made == Conversation(id=made.id, project="one", created_at=NOW, metadata={"a": "é", "b": "2"})
    assert made.id.startswith("conv_")
    assert store.conversations.get("one", made.id) == made
    assert store.conversations.items("one", made.id) == [item("x"), item("y")]
    changed = store.conversations.update("one", made.id, {"c": "3"})
    assert changed.metadata == {"c": "3"}
    assert store.conversations.get("one", made.id) == changed
    assert store.item_ids(made) == ["x", "y"]


def test_a_project_sees_its_own_conversations_only(store: ResponseStore) -> None:
    """Another project's conversation is the same error as none, and is not changed."""
    theirs = store.conversation("x", project="other")
    sql = store.conversations
    acts: list[Callable[[str], object]] = [
        lambda name: sql.get("one", name),
        lambda name: sql.update("one", name, {"a": "b"}),
        lambda name: sql.delete("one", name),
        lambda name: sql.add_items("one", name, [item("y")]),
        lambda name: sql.items("one", name),
        lambda name: sql.list_items("one", name, PageRequest(after="x")),
        lambda name: sql.get_item("one", name, "x"),
        lambda name: sql.delete_item("one", name, "x"),
        lambda name: sql.lock("one", name, "me", 10),
    ]
    for act in acts:
        for name in (theirs.id, "conv_none"):
            with pytest.raises(NotFound, match=f"Conversation with id '{name}' not found.") as refused:
                act(name)
            assert refused.value.code == "conversation_not_found"
    assert sql.get("other", theirs.id) == theirs
    assert store.item_ids(theirs) == ["x"]
    sql.lock("other", theirs.id, "other", 10)


def test_items_are_found_in_all_conversations(store: ResponseStore) -> None:
    """Items are found by their ids in all of a project's conversations, the oldest first, and in no other project's."""
    store.conversation("a", "b")
    store.conversation("c", project="other")
    store.conversation("d", "a")
    assert store.conversations.find_items("one", ["d", "c", "x", "a"]) == [item("a"), item("d"), item("a")]
    assert store.conversations.find_items("one", [f"x{n}" for n in range(1200)] + ["b"]) == [item("b")]
    assert store.conversations.find_items("one", []) == []


def test_items_are_listed_in_pages_either_way(store: ResponseStore) -> None:
    """Pages of items begin after an item of the same conversation, in either order."""
    made, other = store.conversation(*"abcde"), store.conversation("a", "z")

    def ids(**wanted: object) -> tuple[list[str], bool]:
        page = store.conversations.list_items("one", made.id, PageRequest(**wanted))  # type: ignore[arg-type]
        return [each.id for each in page.items], page.has_more

    assert ids(limit=2) == (["e", "d"], True)
    assert ids(limit=3, after="d") == (["c", "b", "a"], False)
    assert ids(limit=2, is_newest_first=False) == (["a", "b"], True)
    assert ids(limit=2, after="b", is_newest_first=False) == (["c", "d"], True)
    assert ids(after="e", is_newest_first=False) == ([], False)
    with pytest.raises(InvalidRequest) as refused:
        ids(after="z")
    assert refused.value.param == "after"
    assert store.item_ids(other) == ["a", "z"]


def test_an_id_occurs_once_in_a_conversation(store: ResponseStore) -> None:
    """Items with an id of the conversation, or of each other, are refused, and none of them is stored."""
    made = store.conversation("a")
    for ids in (["b", "a"], ["b", "b"]):
        with pytest.raises(InvalidRequest, match="already has an item") as refused:
            store.conversations.add_items("one", made.id, [item(each) for each in ids])
        assert (refused.value.param, refused.value.code) == ("items", "duplicate_item_id")
    with pytest.raises(InvalidRequest):
        store.conversation("c", "c")
    store.conversations.add_items("one", made.id, [item("c"), item("b")])
    assert store.item_ids(made) == ["a", "c", "b"]


def test_one_item_is_read_and_deleted(store: ResponseStore) -> None:
    """An item is found by its id within its conversation, until it is deleted; the others stay."""
    made, other = store.conversation("a", "b"), store.conversation("a")
    assert store.conversations.get_item("one", made.id, "a") == item("a")
    store.conversations.delete_item("one", made.id, "a")
    for act in (store.conversations.get_item, store.conversations.delete_item):
        with pytest.raises(NotFound) as refused:
            act("one", made.id, "a")
        assert refused.value.code == "item_not_found"
    assert (store.item_ids(made), store.item_ids(other)) == (["b"], ["a"])


def test_deletion_deletes_the_items(store: ResponseStore, database: Database) -> None:
    """A deleted conversation leaves no row of it."""
    made, other = store.conversation("a", "b"), store.conversation("c")
    store.conversations.delete("one", made.id)
    with pytest.raises(NotFound):
        store.conversations.get("one", made.id)
    with database.read_transaction() as connection:
        assert connection.execute(sa.select(CONVERSATIONS.c.id)).scalars().all() == [other.id]
        assert connection.execute(sa.select(CONVERSATION_ITEMS.c.id)).scalars().all() == ["c"]


def test_a_conversation_is_reserved_for_one(store: ResponseStore) -> None:
    """While one response has a conversation, another gets a conflict, until it is released or the lease ends."""
    made, other = store.conversation(), store.conversation()
    lock, unlock = store.conversations.lock, store.conversations.unlock
    lock("one", made.id, "a", 10)
    lock("one", other.id, "b", 10)
    with pytest.raises(Conflict, match="Another process is currently operating on this conversation") as refused:
        lock("one", made.id, "b", 10)
    assert refused.value.code == "conversation_locked"
    unlock(made.id, "b")
    store.clock.now += 9
    lock("one", made.id, "a", 10)
    store.clock.now += 9
    with pytest.raises(Conflict):
        lock("one", made.id, "b", 10)
    unlock(made.id, "a")
    lock("one", made.id, "b", 10)
    store.clock.now += 10
    lock("one", made.id, "c", 10)
    unlock(made.id, "b")
    with pytest.raises(Conflict):
        lock("one", made.id, "b", 10)


def test_one_of_many_gets_the_reservation(store: ResponseStore) -> None:
    """Of 12 responses that reserve a conversation at the same time, one succeeds."""
    made = store.conversation()

    def locked(number: int) -> bool:
        try:
            store.conversations.lock("one", made.id, f"resp_{number}", 10)
        except Conflict:
            return False
        return True

    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        assert sum(pool.map(locked, range(12))) == 1


def test_responses_that_end_at_once_are_not_mixed(store: ResponseStore) -> None:
    """The items of responses that are stored at the same time stay together in their conversation."""
    made = store.conversation()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        names = [f"r{number}" for number in range(16)]
        list(pool.map(lambda name: store.added(name, conversation_id=made.id), names))
    ids = store.item_ids(made)
    pairs = list(zip(ids[::2], ids[1::2], strict=True))
    assert len(pairs) == 16
    assert all(first.removeprefix("in_") == second.removeprefix("out_") for first, second in pairs)


def test_a_conversation_that_is_too_large_is_not_read(store: ResponseStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """The size of what a response reads is bounded, and pages are still served."""
    made = store.conversation("a", "b")
    monkeypatch.setattr(conversations, "MAX_READ_BYTES", 100)
    with pytest.raises(InvalidRequest, match="more than the 100"):
        store.conversations.items("one", made.id)
    assert len(store.conversations.list_items("one", made.id, PageRequest(limit=2)).items) == 2


def test_a_damaged_conversation_is_an_error(store: ResponseStore, database: Database) -> None:
    """Damaged metadata is an error that names the conversation, and it can be replaced."""
    made = store.conversation("a")
    with database.write_transaction() as connection:
        connection.execute(sa.update(CONVERSATIONS).values(metadata="{"))
    with pytest.raises(NotFound, match="damaged"):
        store.conversations.get("one", made.id)
    assert store.conversations.update("one", made.id, {}).metadata == {}
    assert store.conversations.list_items("one", made.id, PageRequest()) == Page(items=(item("a"),))


def test_damaged_items_are_left_out(store: ResponseStore, database: Database) -> None:
    """An item whose body is no text is left out of its conversation, which only SQLite lets happen."""
    made = store.conversation("a", "b", "c")
    with database.write_transaction() as connection:
        if connection.dialect.name == "sqlite":
            connection.execute(sa.text("UPDATE conversation_items SET body = x'80' WHERE id = 'b'"))
        else:
            connection.execute(sa.text("DELETE FROM conversation_items WHERE id = 'b'"))
    assert store.conversations.items("one", made.id) == [item("a"), item("c")]
