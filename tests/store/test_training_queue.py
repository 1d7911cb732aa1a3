"""Fine-tuning jobs as the server that trains them sees them, on SQLite and PostgreSQL."""

from pathlib import Path

import pytest

from homeport.domain.errors import ErrorInfo, Unavailable
from homeport.domain.fine_tuning import MAX_CHECKPOINTS
from homeport.domain.paging import Page, PageRequest
from homeport.store.database import Database
from homeport.store.training_queue import SILENT_S
from tests.store.fine_tuning_store import (
    CHOSEN,
    PREPARED,
    FineTuningStore,
    measures,
)


@pytest.fixture
def books(database: Database, tmp_path: Path) -> FineTuningStore:
    return FineTuningStore(database, tmp_path)


def test_the_job_that_was_cut_off_comes_first(books: FineTuningStore) -> None:
    """A server resumes its active job, then takes the oldest in the queue, but no paused or other servers' jobs."""
    books.job("ftjob-0", server="there")
    first, second = books.job("ftjob-1"), books.job("ftjob-2")
    assert books.log.next_job("here") == first
    assert books.log.start(second)
    found = books.log.next_job("here")
    assert found is not None
    assert (found.id, found.status) == ("ftjob-2", "validating_files")
    books.book.pause("one", second.id)
    assert books.log.next_job("here") == first
    books.book.pause("one", first.id)
    assert books.log.next_job("here") is None


def test_a_training_is_written_down(books: FineTuningStore) -> None:
    """A job is validated, trained and succeeds; its final hyperparameters and its metrics are stored."""
    job = books.job("ftjob-1")
    assert books.log.start(job)
    assert books.status(job) == "validating_files"
    assert books.log.record_prepared(job, PREPARED)
    assert books.log.record_step(
        job, measures(1, valid_loss=2.0, classification={"classification/accuracy": 1.0}), 6, 99
    )
    running = books.book.get("one", job.id)
    assert (running.status, running.step, running.steps, running.estimated_finish) == ("running", 1, 6, 99)
    assert running.hyperparameters == CHOSEN
    event = books.received(job)[-1]
    assert (event.type, event.message) == ("metrics", "Step 1/6: training loss=1.0000, validation loss=2.0000")
    assert event.data is not None
    assert event.data["classification/accuracy"] == 1.0
    assert books.log.succeed(job, books.made(job))
    done = books.book.get("one", job.id)
    assert (done.status, done.tokens, done.finished_at) == ("succeeded", 120, 1_700_000_000)
    assert done.estimated_finish is None
    [file] = books.files.list_page("one", PageRequest()).items
    assert (file.id, file.purpose, file.bytes) == (done.result_file, "fine-tune-results", 22)
    assert books.messages(job)[-3:] == [
        f"New fine-tuned model created: {job.name}",
        f"Uploaded result files: {file.id}.",
        "Job succeeded.",
    ]


def test_steps_are_told_once(books: FineTuningStore) -> None:
    """Steps and checkpoints that a resumed training reports again are skipped."""
    job = books.under_way("ftjob-1")
    for step in (1, 2, 3):
        assert books.log.record_step(job, measures(step), 6, None)
    assert books.log.record_checkpoint(job, measures(3), "name:3")
    before = books.received(job)
    assert not books.log.record_step(job, measures(2), 6, None)
    assert books.log.record_checkpoint(job, measures(3), "name:3")
    assert books.received(job) == before
    assert books.log.record_step(job, measures(4), 6, None)


def test_the_latest_checkpoints_stay(books: FineTuningStore) -> None:
    """Only the latest checkpoints are listed, newest first, with their metrics."""
    job = books.under_way("ftjob-1")
    for step in range(1, MAX_CHECKPOINTS + 3):
        books.log.record_checkpoint(job, measures(step, full_valid_loss=0.5), f"name:{step}")
    found = books.book.list_checkpoints("one", job.id, PageRequest())
    assert [each.step for each in found.items] == [5, 4, 3]
    assert not found.has_more
    assert found.items[0].metrics == {
        "step": 5,
        "train_loss": 0.2,
        "train_mean_token_accuracy": 0.5,
        "full_valid_loss": 0.5,
    }
    second = books.book.list_checkpoints("one", job.id, PageRequest(limit=1, after=found.items[0].id))
    assert second == Page(items=(found.items[1],), has_more=True)


def test_the_last_step_before_a_pause_is_written_down(books: FineTuningStore) -> None:
    """The step that was running when its job was paused is recorded; the job stays paused."""
    job = books.under_way("ftjob-1")
    books.book.pause("one", job.id)
    assert not books.log.is_wanted("here", job.id)
    assert books.log.record_step(job, measures(1), 6, None)
    assert books.log.record_checkpoint(job, measures(1), "name:1")
    assert not books.log.record_prepared(job, PREPARED)
    assert not books.log.succeed(job, books.made(job))
    found = books.book.get("one", job.id)
    assert (found.status, found.step) == ("paused", 1)


def test_who_is_not_wanted_changes_nothing(books: FineTuningStore) -> None:
    """Whatever a training reports after its job was cancelled is not recorded, nor is its result."""
    job = books.under_way("ftjob-1")
    assert books.log.is_wanted("here", job.id)
    books.book.cancel("one", job.id)
    assert not books.log.is_wanted("here", job.id)
    before = books.book.get("one", job.id), books.received(job)
    assert not books.log.record_step(job, measures(1), 6, None)
    assert not books.log.record_checkpoint(job, measures(1), "name:1")
    assert not books.log.record_prepared(job, PREPARED)
    assert not books.log.fail(job, Unavailable("no").info)
    assert not books.log.succeed(job, books.made(job))
    assert (books.book.get("one", job.id), books.received(job)) == before
    assert books.files.list_page("one", PageRequest()) == Page()


def test_a_failure_is_told(books: FineTuningStore) -> None:
    """A failed job stores its error, and its last event is an error."""
    job = books.under_way("ftjob-1")
    assert books.log.fail(job, ErrorInfo("InvalidRequest", "Line 3 is too long.", "training_file", "c"))
    found = books.book.get("one", job.id)
    assert (found.status, found.error) == (
        "failed",
        ErrorInfo("InvalidRequest", "Line 3 is too long.", "training_file", "c"),
    )
    assert (books.received(job)[-1].level, books.received(job)[-1].message) == (
        "error",
        "Job failed: Line 3 is too long.",
    )


def test_what_is_left_behind_is_known_until_it_is_gone(books: FineTuningStore) -> None:
    """Ended jobs have files to delete until this is recorded; a cancelled job loses its checkpoints."""
    done, cancelled = books.under_way("ftjob-1"), books.under_way("ftjob-2")
    for job in (done, cancelled):
        books.log.record_checkpoint(job, measures(1), f"name:{job.id}")
    assert books.log.list_uncleaned("here") == []
    books.log.succeed(done, books.made(done))
    books.book.cancel("one", cancelled.id)
    assert books.log.list_uncleaned("there") == []
    untidy = books.log.list_uncleaned("here")
    assert {job.id for job in untidy} == {done.id, cancelled.id}
    for job in untidy:
        books.log.mark_cleaned(job)
    assert books.log.list_uncleaned("here") == []
    assert len(books.book.list_checkpoints("one", done.id, PageRequest()).items) == 1
    assert books.book.list_checkpoints("one", cancelled.id, PageRequest()) == Page()


def test_a_silent_servers_jobs_go_on_elsewhere(books: FineTuningStore) -> None:
    """Unfinished jobs of a server without heartbeat move to another one; the old one can change them no more."""
    job, ended = books.under_way("ftjob-1"), books.under_way("ftjob-2")
    books.book.cancel("one", ended.id)
    books.now += SILENT_S
    books.log.heartbeat("here")
    books.now += SILENT_S
    books.log.heartbeat("there")
    assert books.log.next_job("there") is None
    books.now += 1
    books.log.heartbeat("there")
    found = books.log.next_job("there")
    assert found is not None
    assert (found.id, found.server) == (job.id, "there")
    assert not books.log.is_wanted("here", job.id)
    assert not books.log.record_step(job, measures(1), 6, None)
    assert books.log.record_step(found, measures(1), 6, None)
    assert books.book.get("one", ended.id).server == "here"


def test_jobs_are_counted_by_status(books: FineTuningStore) -> None:
    """The jobs of every status are counted, over all projects."""
    books.job("ftjob-1")
    books.job("ftjob-2", project="other")
    books.book.cancel("one", books.job("ftjob-3").id)
    assert books.log.counts() == {"queued": 2, "cancelled": 1}
