"""Batches in the database, on SQLite and PostgreSQL."""

from pathlib import Path
from typing import Any

import pytest

from homeport.domain.batches import Batch, BatchError, LineResult, NewBatch
from homeport.domain.errors import InvalidRequest, NotFound
from homeport.domain.paging import PageRequest
from homeport.store.batches import WINDOW_S, SqlBatchRepository
from homeport.store.blobs import BlobStore
from homeport.store.database import Database
from homeport.store.files import SqlFileRepository
from tests.fake_clock import FakeClock

NOW = 1_800_000_000


class BatchStoreFixture:
    """The batches, their files, and the clock."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.clock = FakeClock(NOW)
        self.folder = folder
        self.files = SqlFileRepository(database, BlobStore(str(folder / "blobs")), self.clock)
        self.repository = SqlBatchRepository(database, self.files, self.clock)

    def made(self, project: str = "one", **more: Any) -> Batch:
        """Create a batch."""
        wanted: dict[str, Any] = {"endpoint": "/v1/completions", "input_file_id": "file-1", "key": "key_1", **more}
        return self.repository.create(NewBatch(project=project, **wanted))

    def begun(self, owner: str = "me", total: int = 3, **more: Any) -> Batch:
        """Create a batch that `owner` runs."""
        made = self.made(**more)
        assert self.repository.claim(owner, 10) is not None
        return self.repository.start(owner, made.id, total, "m")

    def content(self, text: str) -> Path:
        """Write a file with this text."""
        path = self.folder / "content"
        path.write_text(text)
        return path


@pytest.fixture
def setup(database: Database, tmp_path: Path) -> BatchStoreFixture:
    return BatchStoreFixture(database, tmp_path)


def answer(line: int, text: str = "a") -> LineResult:
    return LineResult(line=line, text=text, is_answer=True, input_tokens=5, cached_tokens=2, output_tokens=3)


def refusal(line: int, text: str = "e") -> LineResult:
    return LineResult(line=line, text=text, is_answer=False)


def test_a_batch_is_kept_as_it_was_made(setup: BatchStoreFixture) -> None:
    """A batch is returned with its id, its first status and the end of its window, to its own project only."""
    made = setup.made(metadata={"a": "é"}, keep_s=3600)
    assert made.id.startswith("batch_")
    assert (made.status, made.created_at, made.expires_at) == ("validating", NOW, NOW + WINDOW_S)
    assert setup.repository.get("one", made.id) == made
    assert made.metadata == {"a": "é"}
    for ask in (setup.repository.get, setup.repository.cancel):
        with pytest.raises(NotFound):
            ask("other", made.id)


def test_batches_are_listed_from_the_newest(setup: BatchStoreFixture) -> None:
    """Each page ends where the next one starts, and a page cannot start at another project's batch."""
    ids = [setup.made().id for _ in range(5)]
    theirs = setup.made("other")
    first = setup.repository.list_page("one", PageRequest(limit=2))
    assert ([each.id for each in first.items], first.has_more) == ([ids[4], ids[3]], True)
    rest = setup.repository.list_page("one", PageRequest(limit=3, after=ids[3]))
    assert ([each.id for each in rest.items], rest.has_more) == (ids[2::-1], False)
    with pytest.raises(InvalidRequest) as refused:
        setup.repository.list_page("one", PageRequest(after=theirs.id))
    assert refused.value.param == "after"


def test_one_works_on_a_batch_at_a_time(setup: BatchStoreFixture) -> None:
    """The oldest batch without an owner is claimed; an owned one is free again after its lease or its release."""
    first, second = setup.made(), setup.made()
    assert [setup.repository.claim(name, 10) for name in ("a", "b", "c")] == [
        setup.repository.get("one", first.id),
        setup.repository.get("one", second.id),
        None,
    ]
    setup.clock.now += 8
    setup.repository.renew("b", second.id, 10)
    setup.clock.now += 5
    taken = setup.repository.claim("c", 10)
    assert taken is not None
    assert taken.id == first.id
    setup.repository.release("b", second.id)
    assert setup.repository.claim("d", 10) is not None


def test_who_has_lost_a_batch_changes_nothing(setup: BatchStoreFixture) -> None:
    """Changes by a server that is not the owner are refused and not stored."""
    batch = setup.begun("me")
    setup.clock.now += 11
    assert setup.repository.claim("other", 10) is not None
    with pytest.raises(NotFound):
        setup.repository.add_results("me", batch.id, [answer(1)])
    with pytest.raises(NotFound):
        setup.repository.renew("me", batch.id, 10)
    with pytest.raises(NotFound):
        setup.repository.start_finalizing("me", batch.id)
    with pytest.raises(NotFound):
        setup.repository.create_output_file("me", batch, setup.content("x"), are_answers=True)
    with pytest.raises(NotFound):
        setup.repository.finish("me", batch.id)
    assert setup.repository.finished_lines(batch.id) == set()
    assert setup.repository.get("one", batch.id).status == "in_progress"
    assert not [path for path in (setup.folder / "blobs").rglob("*") if path.is_file()]


def test_a_line_comes_to_one_outcome(setup: BatchStoreFixture) -> None:
    """The first of two results of a line is kept, and counted once."""
    batch = setup.begun()
    setup.repository.add_results("me", batch.id, [answer(1, "first")])
    setup.repository.add_results("me", batch.id, [refusal(1, "again"), refusal(3), answer(2)])
    shown = setup.repository.get("one", batch.id)
    assert (shown.total, shown.completed, shown.failed) == (3, 2, 1)
    assert (shown.input_tokens, shown.cached_tokens, shown.output_tokens) == (10, 4, 6)
    assert list(setup.repository.iterate_results(batch.id, are_answers=True)) == ["first", "a"]
    assert list(setup.repository.iterate_results(batch.id, are_answers=False)) == ["e"]
    assert setup.repository.finished_lines(batch.id) == {1, 2, 3}


def test_many_outcomes_are_read_in_order(setup: BatchStoreFixture) -> None:
    """More results than one query reads are all returned, by line."""
    batch = setup.begun(total=500)
    for start in (251, 1):
        setup.repository.add_results("me", batch.id, [answer(line, str(line)) for line in range(start, start + 250)])
    assert list(setup.repository.iterate_results(batch.id, are_answers=True)) == [str(line) for line in range(1, 501)]


def test_a_file_is_made_once(setup: BatchStoreFixture) -> None:
    """A file is stored and named by its batch in one transaction; a second one is refused and leaves nothing."""
    batch = setup.begun(keep_s=3600)
    kept = setup.repository.create_output_file("me", batch, setup.content("text"), are_answers=True)
    assert kept.output_file_id is not None
    file = setup.files.get("one", kept.output_file_id)
    assert (file.purpose, file.bytes, file.expires_at) == ("batch_output", 4, NOW + 3600)
    assert file.filename == f"{batch.id}_output.jsonl"
    with pytest.raises(NotFound):
        setup.repository.create_output_file("me", batch, setup.content("again"), are_answers=True)
    setup.repository.create_output_file("me", batch, setup.content("error"), are_answers=False)
    assert len([path for path in (setup.folder / "blobs").rglob("*") if path.is_file()]) == 2


@pytest.mark.parametrize("end", ["completed", "expired", "cancelled", "failed"])
def test_a_batch_ends_as_what_happened_to_it(setup: BatchStoreFixture, end: str) -> None:
    """The last status and its time show how a batch ended; its results are then in files only."""
    batch = setup.begun()
    setup.repository.add_results("me", batch.id, [answer(1)])
    if end == "cancelled":
        assert setup.repository.cancel("one", batch.id).status == "cancelling"
    errors = [BatchError(code="empty_file", message="no", line=2)] if end == "failed" else []
    late = [refusal(2), refusal(3)] if end in ("expired", "cancelled") else []
    done = setup.repository.start_finalizing("me", batch.id, errors=errors, expired=late)
    assert done.status == ("cancelling" if end == "cancelled" else "finalizing")
    assert done.finalizing_at == NOW
    setup.clock.now += 1
    ended = setup.repository.finish("me", batch.id)
    assert (ended.status, getattr(ended, f"{end}_at"), ended.has_ended) == (end, NOW + 1, True)
    assert ended.failed == (2 if end == "expired" else 0)
    assert ended.errors == tuple(errors)
    assert setup.repository.finished_lines(batch.id) == set()
    assert setup.repository.claim("me", 10) is None


def test_only_what_is_under_way_can_be_cancelled(setup: BatchStoreFixture) -> None:
    """A second cancellation changes nothing; a batch that is finalizing or has ended cannot be cancelled."""
    batch = setup.begun()
    first = setup.repository.cancel("one", batch.id)
    setup.clock.now += 1
    assert setup.repository.cancel("one", batch.id) == first
    other = setup.begun("you")
    setup.repository.start_finalizing("you", other.id)
    for _ in range(2):
        with pytest.raises(InvalidRequest, match=setup.repository.get("one", other.id).status):
            setup.repository.cancel("one", other.id)
        if setup.repository.get("one", other.id).status == "finalizing":
            setup.repository.finish("you", other.id)


def test_a_batch_begins_once(setup: BatchStoreFixture) -> None:
    """A server that takes over a batch keeps its counts, and a cancelled batch does not start."""
    batch = setup.begun(total=7)
    assert setup.repository.start("me", batch.id, 9, "other") == batch
    made = setup.made()
    assert setup.repository.claim("you", 10) is not None
    setup.repository.cancel("one", made.id)
    assert setup.repository.start("you", made.id, 7, "m").status == "cancelling"
