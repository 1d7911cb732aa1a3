"""Fine-tuning jobs as the server that trains them sees them, on SQLite and PostgreSQL."""

from pathlib import Path

import pytest

from homeport.domain.errors import ErrorInfo, Unavailable
from homeport.domain.paging import Page, PageRequest
from homeport.domain.training import MAX_CHECKPOINTS
from homeport.store.database import Database
from homeport.store.training_queue import SILENT_S
from tests.store.fine_tuning_store import (
    CHOSEN,
    PREPARED,
    FineTuningStore,
    measures,
)


@pytest.fixture
def stores(database: Database, tmp_path: Path) -> FineTuningStore:
    return FineTuningStore(database, tmp_path)


def test_the_job_that_was_cut_off_comes_first(stores: FineTuningStore) -> None:
    """A server resumes its active job, then takes the oldest in the queue, but no paused or other servers' jobs."""
    stores.job("ftjob-0", server="there")
    first, second = stores.job("ftjob-1"), stores.job("ftjob-2")
    assert stores.queue.next_job("here") == first
    assert stores.queue.start(second)
    found = stores.queue.next_job("here")
    assert found is not None
    assert (found.id, found.status) == ("ftjob-2", "validating_files")
    stores.repository.pause("one", second.id)
    assert stores.queue.next_job("here") == first
    stores.repository.pause("one", first.id)
    assert stores.queue.next_job("here") is None


def test_a_training_is_written_down(stores: FineTuningStore) -> None:
    """A job is validated, trained and succeeds; its final hyperparameters and its metrics are stored."""
    job = stores.job("ftjob-1")
    assert stores.queue.start(job)
    assert stores.status(job) == "validating_files"
    assert stores.queue.record_prepared(job, PREPARED)
    assert stores.queue.record_step(
        job, measures(1, valid_loss=2.0, classification={"classification/accuracy": 1.0}), 6, 99
    )
    running = stores.repository.get("one", job.id)
    assert (running.status, running.step, running.steps, running.estimated_finish) == ("running", 1, 6, 99)
    assert running.hyperparameters == CHOSEN
    event = stores.received(job)[-1]
    assert (event.type, event.message) == ("metrics", "Step 1/6: training loss=1.0000, validation loss=2.0000")
    assert event.data is not None
    assert event.data["classification/accuracy"] == 1.0
    assert stores.queue.succeed(job, stores.made(job))
    done = stores.repository.get("one", job.id)
    assert (done.status, done.tokens, done.finished_at) == ("succeeded", 120, 1_700_000_000)
    assert done.estimated_finish is None
    [file] = stores.files.list_page("one", PageRequest()).items
    assert (file.id, file.purpose, file.bytes) == (done.result_file, "fine-tune-results", 22)
    assert stores.messages(job)[-3:] == [
        f"New fine-tuned model created: {job.name}",
        f"Uploaded result files: {file.id}.",
        "Job succeeded.",
    ]


def test_steps_are_told_once(stores: FineTuningStore) -> None:
    """Steps and checkpoints that a resumed training reports again are skipped."""
    job = stores.under_way("ftjob-1")
    for step in (1, 2, 3):
        assert stores.queue.record_step(job, measures(step), 6, None)
    assert stores.queue.record_checkpoint(job, measures(3), "name:3")
    before = stores.received(job)
    assert not stores.queue.record_step(job, measures(2), 6, None)
    assert stores.queue.record_checkpoint(job, measures(3), "name:3")
    assert stores.received(job) == before
    assert stores.queue.record_step(job, measures(4), 6, None)


def test_the_latest_checkpoints_stay(stores: FineTuningStore) -> None:
    """Only the latest checkpoints are listed, newest first, with their metrics."""
    job = stores.under_way("ftjob-1")
    for step in range(1, MAX_CHECKPOINTS + 3):
        stores.queue.record_checkpoint(job, measures(step, full_valid_loss=0.5), f"name:{step}")
    found = stores.repository.list_checkpoints("one", job.id, PageRequest())
    assert [each.step for each in found.items] == [5, 4, 3]
    assert not found.has_more
    assert found.items[0].metrics == {
        "step": 5,
        "train_loss": 0.2,
        "train_mean_token_accuracy": 0.5,
        "full_valid_loss": 0.5,
    }
    second = stores.repository.list_checkpoints("one", job.id, PageRequest(limit=1, after=found.items[0].id))
    assert second == Page(items=(found.items[1],), has_more=True)


def test_the_last_step_before_a_pause_is_written_down(stores: FineTuningStore) -> None:
    """The step that was running when its job was paused is recorded; the job stays paused."""
    job = stores.under_way("ftjob-1")
    stores.repository.pause("one", job.id)
    assert not stores.queue.is_wanted("here", job.id)
    assert stores.queue.record_step(job, measures(1), 6, None)
    assert stores.queue.record_checkpoint(job, measures(1), "name:1")
    assert not stores.queue.record_prepared(job, PREPARED)
    assert not stores.queue.succeed(job, stores.made(job))
    found = stores.repository.get("one", job.id)
    assert (found.status, found.step) == ("paused", 1)


def test_who_is_not_wanted_changes_nothing(stores: FineTuningStore) -> None:
    """Whatever a training reports after its job was cancelled is not recorded, nor is its result."""
    job = stores.under_way("ftjob-1")
    assert stores.queue.is_wanted("here", job.id)
    stores.repository.cancel("one", job.id)
    assert not stores.queue.is_wanted("here", job.id)
    before = stores.repository.get("one", job.id), stores.received(job)
    assert not stores.queue.record_step(job, measures(1), 6, None)
    assert not stores.queue.record_checkpoint(job, measures(1), "name:1")
    assert not stores.queue.record_prepared(job, PREPARED)
    assert not stores.queue.fail(job, Unavailable("no").info)
    assert not stores.queue.succeed(job, stores.made(job))
    assert (stores.repository.get("one", job.id), stores.received(job)) == before
    assert stores.files.list_page("one", PageRequest()) == Page()


def test_a_failure_is_told(stores: FineTuningStore) -> None:
    """A failed job stores its error, and its last event is an error."""
    job = stores.under_way("ftjob-1")
    assert stores.queue.fail(job, ErrorInfo("InvalidRequest", "Line 3 is too long.", "training_file", "c"))
    found = stores.repository.get("one", job.id)
    assert (found.status, found.error) == (
        "failed",
        ErrorInfo("InvalidRequest", "Line 3 is too long.", "training_file", "c"),
    )
    assert (stores.received(job)[-1].level, stores.received(job)[-1].message) == (
        "error",
        "Job failed: Line 3 is too long.",
    )


def test_what_is_left_behind_is_known_until_it_is_gone(stores: FineTuningStore) -> None:
    """Ended jobs have files to delete until this is recorded; a cancelled job loses its checkpoints."""
    done, cancelled = stores.under_way("ftjob-1"), stores.under_way("ftjob-2")
    for job in (done, cancelled):
        stores.queue.record_checkpoint(job, measures(1), f"name:{job.id}")
    assert stores.queue.list_uncleaned("here") == []
    stores.queue.succeed(done, stores.made(done))
    stores.repository.cancel("one", cancelled.id)
    assert stores.queue.list_uncleaned("there") == []
    untidy = stores.queue.list_uncleaned("here")
    assert {job.id for job in untidy} == {done.id, cancelled.id}
    for job in untidy:
        stores.queue.mark_cleaned(job)
    assert stores.queue.list_uncleaned("here") == []
    assert len(stores.repository.list_checkpoints("one", done.id, PageRequest()).items) == 1
    assert stores.repository.list_checkpoints("one", cancelled.id, PageRequest()) == Page()


def test_a_silent_servers_jobs_go_on_elsewhere(stores: FineTuningStore) -> None:
    """Unfinished jobs of a server without heartbeat move to another one; the old one can change them no more."""
    job, ended = stores.under_way("ftjob-1"), stores.under_way("ftjob-2")
    stores.repository.cancel("one", ended.id)
    stores.now += SILENT_S
    stores.queue.heartbeat("here")
    stores.now += SILENT_S
    stores.queue.heartbeat("there")
    assert stores.queue.next_job("there") is None
    stores.now += 1
    stores.queue.heartbeat("there")
    found = stores.queue.next_job("there")
    assert found is not None
    assert (found.id, found.server) == (job.id, "there")
    assert not stores.queue.is_wanted("here", job.id)
    assert not stores.queue.record_step(job, measures(1), 6, None)
    assert stores.queue.record_step(found, measures(1), 6, None)
    assert stores.repository.get("one", ended.id).server == "here"


def test_jobs_are_counted_by_status(stores: FineTuningStore) -> None:
    """The jobs of every status are counted, over all projects."""
    stores.job("ftjob-1")
    stores.job("ftjob-2", project="other")
    stores.repository.cancel("one", stores.job("ftjob-3").id)
    assert stores.queue.counts() == {"queued": 2, "cancelled": 1}
