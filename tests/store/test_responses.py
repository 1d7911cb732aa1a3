"""Stored responses and their chains, on SQLite and PostgreSQL."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from homeport.domain.errors import InvalidRequest, NotFound
from homeport.store import migration, response_queries, responses
from homeport.store.database import Database
from homeport.store.schema import CONVERSATION_ITEMS, RESPONSE_EVENTS, RESPONSE_RUNS, RESPONSES
from tests.store.response_store import NOW, ResponseStore, events, item

DAY_S = 86_400


@pytest.fixture
def store(database: Database) -> ResponseStore:
    return ResponseStore(database)


def test_a_response_is_returned_as_it_was_stored(store: ResponseStore) -> None:
    """Every field is returned, and the JSON of items character by character."""
    conversation = store.conversation()
    plain = store.added("resp_1")
    queued = store.queued("resp_2", conversation_id=conversation.id, expires_at=NOW + DAY_S)
    continued = store.added("resp_3", previous_id="resp_1", status="failed", output=())
    for stored in (plain, queued, continued):
        assert store.responses.get("one", stored.id) == stored


def test_a_project_sees_its_own_responses_only(store: ResponseStore) -> None:
    """Another project's response is the same error as none, and stays."""
    theirs = store.queued("resp_1", *events(0, 1), project="other")
    acts: list[Callable[[str], object]] = [
        lambda name: store.responses.get("one", name),
        lambda name: store.responses.delete("one", name),
        lambda name: store.responses.cancel("one", name),
        lambda name: store.responses.list_events("one", name, -1, 10),
        lambda name: store.responses.chain("one", name),
    ]
    for act in acts:
        texts = []
        for name in ("resp_1", "resp_0"):
            with pytest.raises(NotFound) as refused:
                act(name)
            texts.append((refused.value.message.replace(name, "x"), refused.value.param, refused.value.code))
        assert texts[0] == texts[1]
    assert store.responses.get("other", "resp_1") == theirs


def test_a_chain_is_whole_and_in_order(store: ResponseStore) -> None:
    """A chain has all responses from the first to the given one, and none of another branch or project."""
    for name, previous in (("a", None), ("b", "a"), ("c", "b"), ("branch", "b"), ("d", "c")):
        store.added(name, previous_id=previous)
    store.added("foreign", project="other", previous_id="a")
    assert [each.id for each in store.responses.chain("one", "c")] == ["a", "b", "c"]
    assert [each.id for each in store.responses.chain("one", "branch")] == ["a", "b", "branch"]
    assert store.responses.chain("one", "b")[1] == store.responses.get("one", "b")
    with pytest.raises(NotFound):
        store.responses.chain("other", "foreign")


def test_a_chain_without_one_of_its_responses_is_refused(store: ResponseStore) -> None:
    """A deleted response of a chain is named; so is the given one, if it does not exist or has expired."""
    store.added("a")
    store.added("b", previous_id="a")
    store.added("c", previous_id="b", expires_at=NOW + 5)
    store.responses.delete("one", "a")
    for name, named in (("c", "a"), ("a", "a"), ("none", "none")):
        with pytest.raises(NotFound, match=f"Previous response with id '{named}' not found.") as refused:
            store.responses.chain("one", name)
        assert (refused.value.param, refused.value.code) == ("previous_response_id", "previous_response_not_found")
    store.clock.now += 5
    with pytest.raises(NotFound, match="'c'"):
        store.responses.chain("one", "c")


def test_a_damaged_chain_is_not_endless(store: ResponseStore, database: Database) -> None:
    """A row that by damage continues itself or a later one is an error, not an endless query."""
    store.added("a")
    store.added("b", previous_id="a")
    for target in ("a", "b"):
        with database.write_transaction() as connection:
            connection.execute(sa.update(RESPONSES).where(RESPONSES.c.id == "a").values(previous_id=target))
        with pytest.raises(NotFound, match=f"'{target}'"):
            store.responses.chain("one", "b")


def test_a_chain_that_is_too_large_is_not_read(store: ResponseStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """The size of a chain is bounded, and the error says what to do."""
    store.added("a")
    store.added("b", previous_id="a", input=(item("big", "x" * 2000),))
    for module in (responses, response_queries):
        monkeypatch.setattr(module, "MAX_READ_BYTES", 1000)
    with pytest.raises(InvalidRequest, match="more than 1000 bytes") as refused:
        store.responses.chain("one", "b")
    assert refused.value.param == "previous_response_id"
    assert len(store.responses.chain("one", "a")) == 1


@pytest.mark.alone
def test_a_long_chain_is_read_quickly(store: ResponseStore, database: Database) -> None:
    """A chain of 500 responses among 1,000 others is read within 50 ms."""
    if not database.is_sqlite:
        pytest.skip("PostgreSQL's speed is its own affair")
    text = "x" * 1000
    rows = []
    for number in range(1500):
        rows.append(
            {
                "id": f"r{number}",
                "project": "one",
                "status": "completed",
                "created_at": NOW,
                "previous_id": f"r{number - 3}" if number % 3 == 0 and number else None,
                "is_background": False,
                "key": "",
                "bytes": 3000,
                "body": f'{{"x":"{text}"}}',
                "input": f'[["a",{{"x":"{text}"}}]]',
                "output": f'[["b",{{"x":"{text}"}}]]',
                "request": "",
            }
        )
    with database.write_transaction() as connection:
        connection.execute(sa.insert(RESPONSES), rows)
    times = []
    for _ in range(5):
        start = time.perf_counter()
        chain = store.responses.chain("one", "r1497")
        times.append(time.perf_counter() - start)
    assert len(chain) == 500
    assert min(times) <= 0.05


def test_an_expired_response_is_not_found(store: ResponseStore) -> None:
    """At its expiry a response is not found, although it may still be a part of a chain."""
    store.queued("a", *events(0, 1), expires_at=NOW + 10)
    store.added("b", previous_id="a")
    store.clock.now += 9
    assert store.responses.get("one", "a").id == "a"
    store.clock.now += 1
    for act in (store.responses.get, store.responses.delete, store.responses.cancel):
        with pytest.raises(NotFound):
            act("one", "a")
    with pytest.raises(NotFound):
        store.responses.list_events("one", "a", -1, 10)
    assert store.claimed() is None
    assert [each.id for each in store.responses.chain("one", "b")] == ["a", "b"]


def test_what_no_chain_needs_is_swept(store: ResponseStore) -> None:
    """Expired responses are deleted with their events, unless one that has not expired continues them."""
    store.queued("alone", *events(0, 70), expires_at=NOW + 10)
    for name, previous, expires_at in (
        ("a", None, NOW + 10),
        ("b", "a", NOW + 10),
        ("kept", "b", NOW + 100),
        ("c", "b", NOW + 10),
        ("d", "c", NOW + 10),
    ):
        store.added(name, previous_id=previous, expires_at=expires_at)
    store.added("for ever")
    assert store.responses.sweep() == 0
    store.clock.now += 10
    assert store.responses.sweep() == 3
    assert store.responses.sweep() == 0
    assert [each.id for each in store.responses.chain("one", "kept")] == ["a", "b", "kept"]
    store.clock.now += 90
    assert store.responses.sweep() == 3
    assert store.responses.get("one", "for ever").id == "for ever"
    assert store.storage.of("one").responses == store.storage.of("one").total > 0
    store.responses.delete("one", "for ever")
    assert store.storage.of("one").total == 0


def test_many_are_swept_in_parts(store: ResponseStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """More expired responses than one transaction deletes are all deleted."""
    monkeypatch.setattr(responses, "_SWEEP_ROWS", 2)
    for number in range(5):
        store.added(f"r{number}", expires_at=NOW, previous_id=f"r{number - 1}" if number else None)
    assert store.responses.sweep() == 5


def test_what_runs_is_not_swept(store: ResponseStore) -> None:
    """A background response that expires while a server runs it is deleted after that."""
    store.queued("a", expires_at=NOW + 5)
    assert store.claimed(lease_s=10) == "a"
    store.clock.now += 5
    assert store.responses.sweep() == 0
    store.responses.add_events("me", "a", events(0, 1))
    store.clock.now += 5
    assert store.responses.sweep() == 1
    with pytest.raises(NotFound):
        store.responses.add_events("me", "a", events(2, 3))


def test_deletion_deletes(store: ResponseStore, database: Database) -> None:
    """A deleted response leaves no row; its items stay in its conversation; it is not found a second time."""
    conversation = store.conversation()
    store.queued("a", *events(0, 100), conversation_id=conversation.id)
    store.added("b", conversation_id=conversation.id)
    for name in ("a", "b"):
        store.responses.delete("one", name)
        with pytest.raises(NotFound, match=f"Response with id '{name}' not found."):
            store.responses.delete("one", name)
    with database.read_transaction() as connection:
        for table in (RESPONSES, RESPONSE_EVENTS, RESPONSE_RUNS):
            assert connection.execute(sa.select(table)).all() == []
    assert store.item_ids(conversation) == ["in_b", "out_b"]


def test_deleted_text_is_in_no_file(tmp_path: Path) -> None:
    """SQLite's files do not have the prompts and answers of deleted and swept records any more."""
    database = Database(f"sqlite:///{tmp_path}/homeport.db")
    migration.upgrade(database)
    store = ResponseStore(database)
    secret, large = "the secret prompt", "long secret " * 5000
    given = {"input": (item("in", secret),), "output": (item("out", large),)}
    conversation = store.conversations.create("one", {"a": secret}, given["input"])
    store.added("a", conversation_id=conversation.id, **given)
    store.added("b", expires_at=NOW + 1, **given)
    store.completed("c", body=f'{{"a":"{secret}"}}')
    store.completed("d", body=f'{{"a":"{large}"}}', expires_at=NOW + 1)
    assert b"secret" in _content(tmp_path)
    store.clock.now += 1
    store.conversations.delete_item("one", conversation.id, "out")
    store.responses.delete("one", "a")
    store.completions.delete("one", "c")
    store.conversations.delete("one", conversation.id)
    store.completions.sweep()
    store.responses.sweep()
    assert b"secret" not in _content(tmp_path)
    database.close()


def test_the_items_of_a_response_join_its_conversation(store: ResponseStore) -> None:
    """Input and output of a completed or incomplete response are appended, without items that are there already."""
    conversation = store.conversation("x", "y")
    store.added("a", conversation_id=conversation.id, input=(item("y"), item("z")))
    store.added("b", conversation_id=conversation.id, status="incomplete", output=())
    for status in ("failed", "cancelled", "in_progress"):
        store.added(status, conversation_id=conversation.id, status=status)
    assert store.item_ids(conversation) == ["x", "y", "z", "out_a", "in_b"]


def test_a_response_of_a_deleted_conversation_is_not_stored(store: ResponseStore) -> None:
    """A conversation that is deleted or another project's is not found, and nothing of the response is stored."""
    gone, theirs = store.conversation(), store.conversation(project="other")
    store.conversations.delete("one", gone.id)
    for conversation in (gone, theirs):
        with pytest.raises(NotFound) as refused:
            store.added("a", conversation_id=conversation.id)
        assert refused.value.code == "conversation_not_found"
    with pytest.raises(NotFound):
        store.responses.get("one", "a")


def test_a_damaged_response_is_missing_alone(store: ResponseStore, database: Database) -> None:
    """A response with a damaged row is an error that names it; others are read, and it can be deleted."""
    store.added("bad")
    store.added("good")
    for text in ("{", '[["a"]]', "", "[[1,{}]]", '[["a",{]]'):
        with database.write_transaction() as connection:
            connection.execute(sa.update(RESPONSES).where(RESPONSES.c.id == "bad").values(output=text))
        for act in (store.responses.get, store.responses.chain):
            with pytest.raises(NotFound, match="bad is damaged"):
                act("one", "bad")
    assert store.responses.get("one", "good").id == "good"
    store.responses.delete("one", "bad")


def test_nothing_is_left_of_a_response_that_cannot_be_stored(store: ResponseStore, database: Database) -> None:
    """If a part of a response cannot be stored, its conversation has nothing of it."""
    if database.is_sqlite:
        pytest.skip("SQLite stores ids of any length")
    conversation = store.conversation()
    with pytest.raises(InvalidRequest, match="cannot store"):
        store.added("a", conversation_id=conversation.id, output=(item("x" * 300),))
    with database.read_transaction() as connection:
        assert connection.execute(sa.select(CONVERSATION_ITEMS)).all() == []
    with pytest.raises(NotFound):
        store.responses.get("one", "a")


def _content(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.glob("homeport.db*"))
