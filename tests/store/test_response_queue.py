"""The queue of background responses: ownership, leases, events, cancellation; on SQLite and PostgreSQL."""

import concurrent.futures
from collections.abc import Callable
from functools import partial

import pytest
import sqlalchemy as sa

from homeport.domain.errors import InvalidRequest, NotFound
from homeport.domain.responses import ResponseEnd, ResponseEvent
from homeport.store.database import Database
from homeport.store.responses import SqlResponseRepository
from homeport.store.schema import RESPONSE_EVENTS, RESPONSES
from tests.store.response_store import NOW, ResponseStore, events, item

END = ResponseEnd(status="completed", body='{"status":"completed"}', output=(item("out"),))


@pytest.fixture
def store(database: Database) -> ResponseStore:
    return ResponseStore(database)


def read(store: ResponseStore, response_id: str, after: int = -1, limit: int = 1000) -> list[ResponseEvent]:
    return list(store.responses.list_events("one", response_id, after, limit))


def test_the_oldest_is_run_first(store: ResponseStore) -> None:
    """Each queued response is claimed once, the oldest first, with its request; others are never claimed."""
    store.added("foreground")
    first, second = store.queued("a"), store.queued("b", project="other")
    assert [store.responses.claim(owner, 10) for owner in ("x", "y", "z")] == [first, second, None]


def test_servers_that_claim_at_once_get_different_ones(store: ResponseStore, database: Database) -> None:
    """Of 20 responses that 6 servers claim at the same time, each is run by one."""
    names = [store.queued(f"r{number}").id for number in range(20)]

    def claim_all(owner: str) -> list[str]:
        repository = SqlResponseRepository(database, now=store.clock)
        claimed = []
        misses = 0
        while misses < 3:  # one that loses a race sees none for a moment
            response = repository.claim(owner, 60)
            misses += response is None
            claimed += [] if response is None else [response.id]
        return claimed

    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        claimed = [name for found in pool.map(claim_all, "abcdef") for name in found]
    assert sorted(claimed) == sorted(names)


def test_a_running_response_says_so(store: ResponseStore) -> None:
    """A queued response is in progress from its start on, in its body too; a second start changes nothing."""
    queued = store.queued("a")
    with pytest.raises(NotFound):
        store.responses.start("me", "a")
    assert store.claimed() == "a"
    for _ in range(2):
        store.responses.start("me", "a")
        running = store.responses.get("one", "a")
        assert (running.status, running.body) == ("in_progress", '{"id":"a","status":"in_progress"}')
        assert (running.request, running.input) == (queued.request, queued.input)


def test_who_is_silent_loses_its_responses(store: ResponseStore) -> None:
    """A response whose server does not renew its lease is taken over, as it is; the old server can change nothing."""
    store.queued("a", *events(0, 1))
    store.queued("b")
    assert [store.claimed("dead"), store.claimed("alive")] == ["a", "b"]
    store.responses.start("dead", "a")
    store.responses.add_events("dead", "a", events(2, 5))
    store.clock.now += 6
    assert store.responses.renew("alive", 10) == []
    assert store.claimed("other") is None
    store.clock.now += 4
    taken = store.responses.claim("other", 10)
    assert taken is not None
    assert (taken.id, taken.status) == ("a", "in_progress")
    acts: list[Callable[[], object]] = [
        lambda: store.responses.start("dead", "a"),
        lambda: store.responses.add_events("dead", "a", events(6, 7)),
        lambda: store.responses.finish("dead", "a", END),
    ]
    for act in acts:
        with pytest.raises(NotFound):
            act()
    assert store.responses.renew("dead", 10) == []
    assert read(store, "a") == events(0, 5)
    assert store.responses.get("one", "a") == taken
    store.responses.finish("other", "a", END)
    assert store.claimed("third") is None


def test_a_late_server_may_continue(store: ResponseStore) -> None:
    """A server that renews after its lease ended owns what nobody took over."""
    store.queued("a")
    assert store.claimed("me", 10) == "a"
    store.clock.now += 20
    store.responses.renew("me", 10)
    assert store.claimed("other") is None
    store.responses.finish("me", "a", END)


def test_the_end_is_stored_together(store: ResponseStore) -> None:
    """At the end, body, last events and items are stored, also in the conversation, and the request is not kept."""
    conversation = store.conversation("x")
    store.queued("a", *events(0, 1), conversation_id=conversation.id)
    assert store.item_ids(conversation) == ["x"]
    assert store.claimed() == "a"
    store.responses.start("me", "a")
    end = ResponseEnd(status="incomplete", body='{"id": "a"}', output=END.output, events=tuple(events(2, 3)))
    store.responses.finish("me", "a", end)
    ended = store.responses.get("one", "a")
    assert (ended.status, ended.body, ended.output, ended.request) == ("incomplete", '{"id": "a"}', END.output, "")
    assert (ended.input, ended.has_ended) == ((item("in_a"),), True)
    assert read(store, "a") == events(0, 3)
    assert store.item_ids(conversation) == ["x", "in_a", "out"]
    assert store.responses.cancel("one", "a") == ended
    with pytest.raises(NotFound):
        store.responses.finish("me", "a", end)
    assert store.item_ids(conversation) == ["x", "in_a", "out"]


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_what_fails_leaves_its_conversation(store: ResponseStore, status: str) -> None:
    """A response that failed or was cancelled adds nothing to its conversation."""
    conversation = store.conversation("x")
    store.queued("a", conversation_id=conversation.id)
    assert store.claimed() == "a"
    store.responses.finish("me", "a", ResponseEnd(status=status, body="{}", output=END.output))
    assert store.item_ids(conversation) == ["x"]
    assert store.responses.get("one", "a").output == END.output


def test_a_response_ends_without_its_conversation(store: ResponseStore) -> None:
    """A response whose conversation was deleted while it ran ends all the same."""
    conversation = store.conversation()
    store.queued("a", conversation_id=conversation.id)
    assert store.claimed() == "a"
    store.conversations.delete("one", conversation.id)
    store.responses.finish("me", "a", END)
    assert store.responses.get("one", "a").status == "completed"


def test_who_lost_a_deleted_response_is_refused(store: ResponseStore, database: Database) -> None:
    """The server of a response that was deleted meanwhile can store nothing of it."""
    store.queued("a", *events(0, 1))
    assert store.claimed() == "a"
    store.responses.delete("one", "a")
    acts: list[Callable[[], object]] = [
        lambda: store.responses.add_events("me", "a", events(2, 2)),
        lambda: store.responses.finish("me", "a", END),
        lambda: store.responses.start("me", "a"),
    ]
    for act in acts:
        with pytest.raises(NotFound):
            act()
    with database.read_transaction() as connection:
        assert connection.execute(sa.select(RESPONSE_EVENTS)).all() == []


def test_events_are_read_from_any_number(store: ResponseStore) -> None:
    """Events are returned in order, from after any number, at most as many as wanted, as they were stored."""
    store.queued("a", *events(0, 1))
    store.queued("b", *events(0, 3))
    assert store.claimed() == "a"
    store.responses.add_events("me", "a", events(2, 201))
    for number in range(202, 210):
        store.responses.add_events("me", "a", events(number, number))
    store.responses.add_events("me", "a", [])
    everything = events(0, 209)
    assert read(store, "a") == everything
    for after in (-1, 0, 1, 63, 64, 150, 208, 209, 500):
        for limit in (1, 7, 100, 300):
            assert read(store, "a", after, limit) == everything[after + 1 : after + 1 + limit]


def test_events_are_stored_once(store: ResponseStore) -> None:
    """Events that are stored already are left out, so that a call can be repeated."""
    store.queued("a", *events(0, 1))
    assert store.claimed() == "a"
    for last in (5, 5, 8):
        store.responses.add_events("me", "a", events(0, last))
    store.responses.finish("me", "a", ResponseEnd(status="failed", body="{}", events=tuple(events(7, 9))))
    assert read(store, "a") == events(0, 9)


def test_what_nobody_runs_is_cancelled_at_once(store: ResponseStore) -> None:
    """A response that waits, or whose server is silent, is cancelled at once and never claimed again."""
    store.queued("a")
    cancelled = store.responses.cancel("one", "a")
    assert (cancelled.status, cancelled.body, cancelled.request) == ("cancelled", '{"id":"a","status":"cancelled"}', "")
    assert store.responses.get("one", "a") == cancelled == store.responses.cancel("one", "a")
    assert store.claimed() is None
    store.queued("b")
    assert store.claimed("dead", 10) == "b"
    store.clock.now += 10
    assert store.responses.cancel("one", "b").status == "cancelled"
    assert store.responses.renew("dead", 10) == []


def test_the_server_that_runs_a_response_hears_of_its_cancellation(store: ResponseStore) -> None:
    """A running response stays as it is, and its server gets its id at each renewal, until it ends it."""
    store.queued("a")
    store.queued("b")
    assert [store.claimed(), store.claimed()] == ["a", "b"]
    store.responses.start("me", "b")
    for _ in range(2):
        assert store.responses.cancel("one", "b").status == "in_progress"
        assert store.responses.renew("me", 10) == ["b"]
    assert store.responses.renew("other", 10) == []
    store.responses.finish("me", "b", ResponseEnd(status="cancelled", body='{"status":"cancelled"}'))
    assert store.responses.renew("me", 10) == []
    assert store.responses.cancel("one", "b").status == "cancelled"


def test_only_a_background_response_can_be_cancelled(store: ResponseStore) -> None:
    """Another response is refused as OpenAI refuses it."""
    store.added("a")
    with pytest.raises(InvalidRequest, match="Cannot cancel a synchronous response"):
        store.responses.cancel("one", "a")


def test_a_damaged_one_is_passed_over(store: ResponseStore, database: Database) -> None:
    """A damaged response is not claimed, and the next one is."""
    store.queued("bad")
    store.queued("good", expires_at=NOW + 100)
    with database.write_transaction() as connection:
        connection.execute(sa.update(RESPONSES).where(RESPONSES.c.id == "bad").values(input="{"))
    assert [store.claimed(), store.claimed()] == ["good", None]


def test_damaged_events_are_an_error(store: ResponseStore, database: Database) -> None:
    """Damaged events are an error that names the response."""
    store.queued("a", *events(0, 1))
    with database.write_transaction() as connection:
        connection.execute(sa.update(RESPONSE_EVENTS).values(events='[[0,"x"]]'))
    with pytest.raises(NotFound, match="a is damaged"):
        read(store, "a")


def test_what_happens_at_once_ends_every_response_once(store: ResponseStore) -> None:
    """While servers run responses, others are cancelled, deleted and swept at the same time; none is left unended."""
    conversation = store.conversation()
    names = [store.queued(f"r{number}", *events(0, 1), conversation_id=conversation.id).id for number in range(24)]
    for number in range(24):
        store.added(f"old{number}", expires_at=NOW, previous_id=f"old{number - 1}" if number else None)

    def run_all(owner: str) -> None:
        while (response := store.responses.claim(owner, 60)) is not None:
            try:
                store.responses.start(owner, response.id)
                store.responses.add_events(owner, response.id, events(2, 100))
                store.responses.renew(owner, 60)
                store.responses.finish(owner, response.id, END)
            except NotFound:  # deleted or cancelled
                continue

    def delete_some() -> None:
        for name in names[::4]:
            store.responses.delete("one", name)

    def cancel_some() -> None:
        for name in names[1::2]:
            store.responses.cancel("one", name)

    acts: list[Callable[[], object]] = [
        *(partial(run_all, owner) for owner in "abc"),
        delete_some,
        cancel_some,
        store.responses.sweep,
    ]
    with concurrent.futures.ThreadPoolExecutor(len(acts)) as pool:
        for done in [pool.submit(act) for act in acts]:
            done.result()
    left = [name for name in names if name not in names[::4]]
    while (response := store.responses.claim("last", 60)) is not None:
        store.responses.finish("last", response.id, END)
    ended = [store.responses.get("one", name) for name in left]
    assert all(response.has_ended for response in ended)
    joined = set(store.item_ids(conversation)) - {"out", *(f"in_{name}" for name in names[::4])}
    assert joined == {f"in_{response.id}" for response in ended if response.status == "completed"}
    with pytest.raises(NotFound):
        store.responses.get("one", names[0])
