"""Fine-tuning jobs as callers see them, on SQLite and PostgreSQL."""

from pathlib import Path

import pytest

from homeport.domain.errors import InvalidRequest, NotFound, Overloaded
from homeport.domain.paging import Page, PageRequest
from homeport.domain.training import Classification, Hyperparameters
from homeport.store.database import Database
from tests.store.fine_tuning_store import FineTuningStore, measures


@pytest.fixture
def stores(database: Database, tmp_path: Path) -> FineTuningStore:
    return FineTuningStore(database, tmp_path)


def test_a_job_is_kept_as_it_was_asked_for(stores: FineTuningStore) -> None:
    """Every field of a job is returned, it is queued with its times, and two events report it."""
    chosen = Hyperparameters(
        method="supervised", n_epochs=2, classification=Classification(3, None, (0.5,)), prompt_loss_weight=0.1
    )
    first = stores.job("ftjob-1")
    kept = stores.job(
        "ftjob-2", validation_file="file-2", hyperparameters=chosen, metadata={"a.b'\"": "名"}, asked="名字"
    )
    assert stores.repository.get("one", "ftjob-2") == kept
    assert (kept.status, kept.created_at, kept.updated_at) == ("queued", 1_700_000_000, 1_700_000_000)
    assert stores.messages(first)[-1].endswith("Queue number: 0.")
    assert stores.messages(kept)[-1].endswith("Queue number: 1.")


def test_another_projects_job_is_not_there(stores: FineTuningStore) -> None:
    """Another project's job is not found, whatever is requested, and is in no list."""
    job = stores.job("ftjob-1")
    page = PageRequest()
    for ask in (stores.repository.get, stores.repository.cancel, stores.repository.pause, stores.repository.resume):
        with pytest.raises(NotFound):
            ask("other", job.id)
    for look in (stores.repository.list_events, stores.repository.list_checkpoints):
        with pytest.raises(NotFound):
            look("other", job.id, page)
    assert stores.repository.list_page("other", page) == Page()
    with pytest.raises(InvalidRequest) as refused:
        stores.repository.list_page("other", PageRequest(after=job.id))
    assert refused.value.param == "after"
    assert stores.status(job) == "queued"


def test_a_full_queue_takes_no_more(stores: FineTuningStore) -> None:
    """A full queue of a server refuses a job, says when to retry, and stores nothing; other servers' continue."""
    first = stores.job("ftjob-1", most_waiting=1)
    with pytest.raises(Overloaded) as refused:
        stores.job("ftjob-2", most_waiting=1)
    assert refused.value.retry_after_s
    with pytest.raises(NotFound):
        stores.repository.get("one", "ftjob-2")
    stores.job("ftjob-3", most_waiting=1, server="there")
    stores.repository.pause("one", first.id)
    stores.job("ftjob-4", most_waiting=1)


def test_jobs_are_listed_by_page_and_metadata(stores: FineTuningStore) -> None:
    """Jobs are listed newest or oldest first, page by page, filtered by pairs of metadata or by having none."""
    pairs = [{"a": "1"}, None, {"a": "1", "b": "2"}, {}, {"a": "2"}]
    for number, metadata in enumerate(pairs):
        stores.job(f"ftjob-{number}", metadata=metadata)

    def ids(page: PageRequest, metadata: dict[str, str] | None = None) -> tuple[list[str], bool]:
        found = stores.repository.list_page("one", page, metadata)
        return [job.id[-1] for job in found.items], found.has_more

    assert ids(PageRequest()) == (["4", "3", "2", "1", "0"], False)
    assert ids(PageRequest(is_newest_first=False, limit=2)) == (["0", "1"], True)
    assert ids(PageRequest(limit=2, after="ftjob-2")) == (["1", "0"], False)
    assert ids(PageRequest(), {"a": "1"}) == (["2", "0"], False)
    assert ids(PageRequest(limit=1), {"a": "1"}) == (["2"], True)
    assert ids(PageRequest(), {"a": "1", "b": "2"}) == (["2"], False)
    assert ids(PageRequest(), {}) == (["3", "1"], False)


def test_events_have_pages(stores: FineTuningStore) -> None:
    """A job's events are listed newest or oldest first, page by page, without those of other jobs."""
    job, other = stores.under_way("ftjob-1"), stores.under_way("ftjob-2")
    for step in (1, 2, 3):
        stores.queue.record_step(job, measures(step), 6, None)
    every = stores.received(job)
    first = stores.repository.list_events("one", job.id, PageRequest(limit=2))
    assert first == Page(items=tuple(every[:-3:-1]), has_more=True)
    rest = stores.repository.list_events("one", job.id, PageRequest(after=first.items[-1].id))
    assert rest == Page(items=tuple(every[-3::-1]))
    assert [event.data for event in first.items] == [
        {"total_steps": 6, "step": step, "train_loss": 1.0 / step, "train_mean_token_accuracy": 0.5} for step in (3, 2)
    ]
    with pytest.raises(InvalidRequest):
        stores.repository.list_events("one", other.id, PageRequest(after=first.items[0].id))


def test_a_job_is_paused_resumed_and_cancelled(stores: FineTuningStore) -> None:
    """A paused job returns to the queue when it is resumed; a cancelled one has ended and does not change."""
    job = stores.job("ftjob-1")
    with pytest.raises(InvalidRequest, match="queued"):
        stores.repository.resume("one", job.id)
    assert stores.repository.pause("one", job.id).status == "paused"
    with pytest.raises(InvalidRequest):
        stores.repository.pause("one", job.id)
    assert stores.queue.next_job("here") is None
    assert stores.repository.resume("one", job.id).status == "queued"
    stores.now += 5
    cancelled = stores.repository.cancel("one", job.id)
    assert (cancelled.status, cancelled.finished_at) == ("cancelled", 1_700_000_005)
    for ask in (stores.repository.cancel, stores.repository.pause, stores.repository.resume):
        with pytest.raises(InvalidRequest, match="has ended"):
            ask("one", job.id)
    assert stores.messages(job)[-3:] == ["Job paused.", "Job resumed. It is in the queue again.", "Job cancelled."]
