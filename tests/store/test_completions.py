"""Stored chat completions, on SQLite and PostgreSQL."""

import pytest
import sqlalchemy as sa

from homeport.domain.errors import InvalidRequest, NotFound
from homeport.domain.paging import Page, PageRequest
from homeport.store import completions
from homeport.store.database import Database
from homeport.store.schema import STORED_COMPLETIONS
from tests.store.response_store import NOW, ResponseStore

OLDEST_FIRST = PageRequest(limit=10, is_newest_first=False)


@pytest.fixture
def store(database: Database) -> ResponseStore:
    return ResponseStore(database)


def test_a_completion_is_kept_as_it_was_stored(store: ResponseStore) -> None:
    """Every field is returned, to its own project only."""
    stored = store.completed("a", metadata={"k": "é"}, expires_at=NOW + 5)
    assert store.completions.get("one", "a") == stored
    theirs = store.completed("b", project="other")
    for act in (store.completions.get, store.completions.delete):
        for name in ("b", "none"):
            with pytest.raises(NotFound, match=f"Chat completion with id '{name}' not found.") as refused:
                act("one", name)
            assert refused.value.code == "completion_not_found"
    with pytest.raises(NotFound):
        store.completions.update("one", "b", {})
    assert store.completions.get("other", "b") == theirs


def test_completions_are_listed_by_model_and_metadata(store: ResponseStore) -> None:
    """Pages hold the completions that meet all filters, in either order, and only a project's own."""
    for number in range(6):
        pairs = {"even": str(number % 2 == 0), **({"late": "yes"} if number > 2 else {})}
        store.completed(f"c{number}", model="a" if number < 4 else "b", metadata=pairs)
    store.completed("theirs", project="other")

    def ids(page: PageRequest = OLDEST_FIRST, **filters: object) -> list[str]:
        return [each.id for each in store.completions.list_page("one", page, **filters).items]  # type: ignore[arg-type]

    assert ids() == ids(metadata={}) == [f"c{number}" for number in range(6)]
    assert ids(model="b") == ["c4", "c5"]
    assert ids(metadata={"even": "True"}) == ["c0", "c2", "c4"]
    assert ids(metadata={"even": "True", "late": "yes"}, model="b") == ["c4"]
    assert ids(metadata={"even": "true"}) == ids(metadata={"odd": "True"}) == ids(model="c") == []
    page = store.completions.list_page("one", PageRequest(limit=1, after="c4"), metadata={"even": "True"})
    assert ([each.id for each in page.items], page.has_more) == (["c2"], True)
    assert page.items[0] == store.completions.get("one", "c2")
    with pytest.raises(InvalidRequest) as refused:
        ids(PageRequest(after="theirs"))
    assert refused.value.param == "after"


def test_new_metadata_replaces_the_old(store: ResponseStore) -> None:
    """An update changes the metadata only, and its size is counted."""
    stored = store.completed("a", metadata={"k": "v"})
    before = store.storage.of("one").total
    changed = store.completions.update("one", "a", {"key": "longer"})
    assert changed == store.completions.get("one", "a")
    assert (changed.metadata, changed.body, changed.messages) == ({"key": "longer"}, stored.body, stored.messages)
    assert store.storage.of("one").total == before + len("keylonger") - len("kv")
    store.completions.delete("one", "a")
    assert store.storage.of("one").total == 0


def test_what_has_expired_is_gone(store: ResponseStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """An expired completion is neither found nor listed, and swept; others stay."""
    monkeypatch.setattr(completions, "_SWEEP_ROWS", 2)
    for number in range(5):
        store.completed(f"c{number}", expires_at=NOW + 5)
    kept = store.completed("kept", expires_at=NOW + 6)
    assert store.completions.sweep() == 0
    store.clock.now += 5
    with pytest.raises(NotFound):
        store.completions.get("one", "c0")
    assert store.completions.list_page("one", OLDEST_FIRST) == Page(items=(kept,))
    assert store.completions.sweep() == 5
    assert store.completions.get("one", "kept") == kept


@pytest.mark.parametrize("column", ["metadata", "messages"])
@pytest.mark.parametrize("text", ["{", "", "5", '{"a": 1}'])
def test_a_damaged_completion_is_missing_alone(
    store: ResponseStore, database: Database, column: str, text: str
) -> None:
    """A damaged completion is an error that names it, is omitted from lists, and can be deleted."""
    store.completed("bad")
    good = store.completed("good")
    with database.write_transaction() as connection:
        table = STORED_COMPLETIONS
        connection.execute(sa.update(table).where(table.c.id == "bad").values(**{column: text}))
    with pytest.raises(NotFound, match="bad is damaged"):
        store.completions.get("one", "bad")
    assert store.completions.list_page("one", OLDEST_FIRST) == Page(items=(good,))
    store.completions.delete("one", "bad")
    with pytest.raises(NotFound, match="not found"):
        store.completions.get("one", "bad")
