"""Accounts of limits as rows: replaced as a whole, by one at a time, on SQLite and PostgreSQL."""

from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from homeport.domain.errors import Unavailable
from homeport.domain.ports.limits import States
from homeport.store import migration
from homeport.store.database import Database
from homeport.store.limit_accounts import SqlLimitAccounts
from tests.postgres_server import new_database

DEADLINE_S = 20.0


@pytest.fixture
def accounts(database: Database) -> SqlLimitAccounts:
    return SqlLimitAccounts(database)


def test_states_are_replaced(accounts: SqlLimitAccounts) -> None:
    """A change sees what is stored, None for what is not; accounts that it does not return stay as they are."""
    seen: list[dict[str, bytes | None]] = []

    def change(states: States) -> dict[str, bytes]:
        seen.append(dict(states))
        return {"b": b"new"}

    accounts.change(["b"], lambda _: {"b": b"old"})
    accounts.change(["a", "b"], change)
    assert seen == [{"a": None, "b": b"old"}]
    assert (accounts.read("a"), accounts.read("b"), accounts.read("c")) == (None, b"new", None)


def test_a_change_that_raises_changes_nothing(accounts: SqlLimitAccounts) -> None:
    """If the change raises, the accounts stay as they were."""

    def fail(states: States) -> dict[str, bytes]:
        raise ZeroDivisionError(states)

    accounts.change(["a"], lambda _: {"a": b"1"})
    with pytest.raises(ZeroDivisionError):
        accounts.change(["a"], fail)
    assert accounts.read("a") == b"1"


def test_changes_at_the_same_time_follow_one_another(accounts: SqlLimitAccounts) -> None:
    """Many threads that increment numbers of two accounts, in any order, lose nothing and wait for no deadlock."""

    def increment(states: States) -> dict[str, bytes]:
        return {key_id: str(int(state or b"0") + 1).encode() for key_id, state in states.items()}

    with ThreadPoolExecutor(4) as threads:
        keys = [("a", "b"), ("b", "a")]
        for done in [threads.submit(accounts.change, keys[at % 2], increment) for at in range(40)]:
            done.result()
    assert (accounts.read("a"), accounts.read("b")) == (b"40", b"40")


def test_a_suspended_server_stops_the_others_for_seconds_at_most(postgres: str) -> None:
    """A server that is suspended in the middle of a change loses it, and the next one changes the account."""
    with new_database(postgres) as url, ThreadPoolExecutor(1) as threads:
        databases = [Database(url, is_durable=False) for _ in range(2)]
        migration.upgrade(databases[0])
        suspended, other = (SqlLimitAccounts(database) for database in databases)
        is_locked, is_done = Event(), Event()

        def wait(states: States) -> dict[str, bytes]:
            is_locked.set()
            assert is_done.wait(DEADLINE_S)
            return dict.fromkeys(states, b"of the suspended one")

        change = threads.submit(suspended.change, ["a"], wait)
        assert is_locked.wait(DEADLINE_S)
        other.change(["a"], lambda _: {"a": b"of the other one"})
        is_done.set()
        with pytest.raises(Unavailable):
            change.result()
        assert other.read("a") == b"of the other one"
        for database in databases:
            database.close()
