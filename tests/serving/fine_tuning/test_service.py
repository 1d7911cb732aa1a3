"""Fine-tuning jobs from their creation to their end, on a real database, with a service that trains nothing."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from homeport.domain.errors import (
    ExtraNotInstalled,
    HomeportError,
    InvalidRequest,
    Overloaded,
    Unavailable,
)
from homeport.domain.files import NewFile
from homeport.domain.fine_tuning import FineTuningJob, NewFineTuningJob
from homeport.domain.paging import Page, PageRequest
from homeport.domain.training import Hyperparameters
from homeport.serving.background_loops import BackgroundLoops
from homeport.serving.fine_tuning import service as service_module
from homeport.serving.fine_tuning.attempt import FineTuningDeps
from homeport.serving.fine_tuning.service import FineTuningService
from homeport.store import migration
from homeport.store.database import Database
from tests.serving.fine_tuning.scripted_training import STEPS, ScriptedTrainingService
from tests.store.fine_tuning_store import FineTuningStore

LINE = b'{"prompt": "a", "completion": "b"}\n'


class QueueFixture:
    """A training service, repositories, a folder, and the fine-tuning service that uses them."""

    def __init__(self, folder: Path) -> None:
        database = Database(f"sqlite:///{folder}/homeport.db")
        migration.prepare_database(database)
        self.stores = FineTuningStore(database, folder)
        self.training = ScriptedTrainingService(folder)
        self.folder = folder / "tuning"
        self.loops = BackgroundLoops(first_s=0.0, limit_s=0.0)
        self.service = self.another()

    def another(self, most_waiting: int = 4) -> FineTuningService:
        """Return another fine-tuning service on the same database and folder."""
        stores = self.stores
        deps = FineTuningDeps(
            self.training, stores.repository, stores.queue, stores.files, self.training.forget, self.folder
        )
        return FineTuningService(deps, most_waiting)

    def file(self, content: bytes = LINE, purpose: str = "fine-tune") -> str:
        """Create a file of project `one`."""
        path = self.stores.folder / "sent"
        path.write_bytes(content)
        file = NewFile(project="one", purpose=purpose, filename="a")
        return self.stores.files.create(file, path).id

    def new_job(self, training_file: str | None = None, **changes: Any) -> NewFineTuningJob:
        """Return a new job of project `one`."""
        given = training_file or self.file()
        return NewFineTuningJob(project="one", requested_model="curie", model="tiny", training_file=given, **changes)

    async def accepted(self, **changes: Any) -> FineTuningJob:
        """Create a job."""
        return await asyncio.to_thread(self.service.create_job, self.new_job(**changes))

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Wait until a condition holds."""
        async with asyncio.timeout(30):
            while not is_so():
                await self.service.wait_for_change(0.05)

    async def ended(self, job: FineTuningJob, status: str) -> None:
        """Wait until a job has this status and nothing of it is left."""
        await self.until(
            lambda: self.stores.status(job) == status and self.stores.queue.list_uncleaned(job.server) == []
        )

    async def held(self) -> None:
        """Wait until a training run waits."""
        assert await asyncio.to_thread(self.training.is_held.wait, 30)
        self.training.is_held.clear()

    @asynccontextmanager
    async def open(self, service: FineTuningService | None = None) -> AsyncIterator[None]:
        """Run a fine-tuning service."""
        task = asyncio.create_task((service or self.service).run(self.loops))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
def queue(tmp_path: Path) -> QueueFixture:
    return QueueFixture(tmp_path)


async def test_jobs_are_trained_one_after_another(queue: QueueFixture) -> None:
    """While one job trains the next waits; each ends with its model and a file of metrics, and leaves nothing else."""
    queue.training.hold_at = 1
    async with queue.open():
        first, second = await queue.accepted(suffix="a"), await queue.accepted(validation_file=queue.file())
        await queue.held()
        await queue.until(lambda: queue.service.counts() == {"running": 1, "queued": 1})
        assert queue.stores.status(first) == "running"
        queue.training.go.set()
        await queue.ended(first, "succeeded")
        await queue.ended(second, "succeeded")
    assert [work.id for work in queue.training.runs] == [first.id, second.id]
    assert {first.name, second.name} <= queue.training.models
    results = queue.stores.files.list_page("one", PageRequest(), "fine-tune-results").items
    assert {file.id for file in results} == {
        queue.stores.repository.get("one", job.id).result_file for job in (first, second)
    }
    assert sorted(path.name for path in queue.folder.iterdir() if path.name.startswith("ft")) == []
    assert first.id.startswith("ftjob-")
    assert first.name.startswith("ft:tiny:homeport:a:")


async def test_a_cancelled_job_keeps_nothing(queue: QueueFixture) -> None:
    """A job that is cancelled while it trains stops; no model, checkpoint or file of it is left."""
    queue.training.hold_at = 4
    async with queue.open():
        job = await queue.accepted()
        await queue.held()
        assert queue.training.models
        queue.stores.repository.cancel("one", job.id)
        queue.service.notify()
        await queue.ended(job, "cancelled")
    assert queue.training.models == set()
    assert queue.training.reached == {}
    assert not (queue.folder / job.id).exists()
    assert queue.stores.files.list_page("one", PageRequest(), "fine-tune-results") == Page()


async def test_a_cancellation_at_the_last_moment_counts(queue: QueueFixture) -> None:
    """A job that is cancelled just after its model was created ends without a model."""
    queue.training.before_end = lambda work: queue.stores.repository.cancel("one", work.id)
    async with queue.open():
        job = await queue.accepted()
        await queue.ended(job, "cancelled")
    assert queue.training.models == set()
    assert queue.stores.files.list_page("one", PageRequest(), "fine-tune-results") == Page()


async def test_a_paused_job_lets_others_train(queue: QueueFixture) -> None:
    """A paused job stops, the next one trains, and once resumed it continues from there."""
    queue.training.hold_at = 3
    async with queue.open():
        first, second = await queue.accepted(), await queue.accepted()
        await queue.held()
        queue.stores.repository.pause("one", first.id)
        queue.service.notify()
        await queue.held()
        assert (queue.stores.status(first), queue.stores.status(second)) == ("paused", "running")
        queue.training.go.set()
        await queue.ended(second, "succeeded")
        queue.stores.repository.resume("one", first.id)
        queue.service.notify()
        await queue.ended(first, "succeeded")
    assert queue.training.started_at == [0, 0, 2]
    steps = [event.data["step"] for event in queue.stores.received(first) if event.data]
    assert steps == list(range(1, STEPS + 1))


async def test_a_restart_resumes(queue: QueueFixture) -> None:
    """A server that ends in the middle leaves its job running; the next one resumes it, even without its file."""
    queue.training.hold_at = 3
    async with queue.open():
        job, waiting = await queue.accepted(), await queue.accepted()
        await queue.held()
    assert (queue.stores.status(job), queue.stores.status(waiting)) == ("running", "queued")
    queue.stores.files.delete("one", job.training_file)
    queue.training.hold_at = None
    queue.service = queue.another()
    async with queue.open():
        await queue.ended(job, "succeeded")
        await queue.ended(waiting, "succeeded")
    assert queue.training.started_at == [0, 2, 0]
    assert any("resumed from step 2" in message for message in queue.stores.messages(job))


async def test_the_error_of_a_job_is_stored(queue: QueueFixture) -> None:
    """An error of the training becomes the job's, leaves nothing, and the next job trains."""
    queue.training.failure = InvalidRequest("Line 1 is too long.", param="training_file", code="too_long")
    async with queue.open():
        job = await queue.accepted()
        await queue.ended(job, "failed")
        queue.training.failure = None
        await queue.ended(await queue.accepted(), "succeeded")
    error = queue.stores.repository.get("one", job.id).error
    assert error is not None
    assert (error.message, error.param, error.code) == ("Line 1 is too long.", "training_file", "too_long")
    assert not (queue.folder / job.id).exists()


async def test_an_internal_error_fails_the_job(queue: QueueFixture, caplog: pytest.LogCaptureFixture) -> None:
    """An unexpected exception fails the job without details; the log has them."""
    queue.training.failure = ZeroDivisionError("inside")
    with caplog.at_level(logging.ERROR, "homeport.training"):
        async with queue.open():
            job = await queue.accepted()
            await queue.ended(job, "failed")
    error = queue.stores.repository.get("one", job.id).error
    assert error is not None
    assert "inside" not in error.message
    assert "ZeroDivisionError" in caplog.text


async def test_a_deleted_file_fails_the_job(queue: QueueFixture) -> None:
    """A job whose file was deleted while it waited fails and names the field."""
    job = await queue.accepted()
    queue.stores.files.delete("one", job.training_file)
    async with queue.open():
        await queue.ended(job, "failed")
    error = queue.stores.repository.get("one", job.id).error
    assert error is not None
    assert (error.param, error.code) == ("training_file", "file_not_found")


async def test_an_unavailable_database_fails_no_job(queue: QueueFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job whose steps cannot be recorded for a while continues when they can."""
    monkeypatch.setattr(service_module, "_RETRY_INTERVAL_S", 0.01)
    log, refusals = queue.stores.queue, [Unavailable("The database does not answer.")] * 2
    measured = log.record_step

    def sometimes(*args: Any) -> bool:
        if refusals:
            raise refusals.pop()
        return measured(*args)

    monkeypatch.setattr(log, "record_step", sometimes)
    async with queue.open():
        job = await queue.accepted()
        await queue.ended(job, "succeeded")
    assert len(queue.training.runs) == 3
    assert len([event for event in queue.stores.received(job) if event.data]) == STEPS


async def test_no_error_ends_the_queue(
    queue: QueueFixture, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An unexpected error is logged, and the queue continues."""
    following = queue.stores.queue.next_job
    errors = [ZeroDivisionError("inside")]

    def once(server: str) -> FineTuningJob | None:
        if errors:
            raise errors.pop()
        return following(server)

    monkeypatch.setattr(queue.stores.queue, "next_job", once)
    async with queue.open():
        await queue.ended(await queue.accepted(), "succeeded")
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize("name", ["counts", "heartbeat", "list_uncleaned", "is_wanted"])
async def test_failures_in_the_queue_are_retried(
    queue: QueueFixture, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Without file descriptors, or after a bug, in any query: it is reported as failing, and jobs train."""
    act, errors = getattr(queue.stores.queue, name), [OSError(24, "Too many open files"), TypeError("inside")]

    def twice(*args: Any) -> Any:
        if errors:
            raise errors.pop()
        return act(*args)

    monkeypatch.setattr(queue.stores.queue, name, twice)
    async with queue.open():
        await queue.ended(await queue.accepted(), "succeeded")
        await queue.until(lambda: not errors and not queue.loops.failing())
    assert queue.loops.failures() == {"fine_tuning": 2}


async def test_a_failed_clean_up_does_not_block_others(
    queue: QueueFixture, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """If the files of a cancelled job cannot be deleted, that is logged once and the next job trains."""

    def broken(_: str) -> None:
        raise PermissionError("not yours")

    monkeypatch.setattr(queue.training, "forget", broken)
    queue.service = queue.another()
    job = await queue.accepted()
    queue.stores.repository.cancel("one", job.id)
    async with queue.open():
        later = await queue.accepted()
        await queue.until(lambda: queue.stores.status(later) == "succeeded")
    assert caplog.text.count(f"the files of fine-tuning job {job.id} could not be removed") == 1


async def test_only_one_process_trains_in_a_folder(queue: QueueFixture) -> None:
    """A second server on the same folder accepts jobs and trains none, until the first one has ended."""
    queue.training.hold_at = 1
    async with queue.open():
        job = await queue.accepted()
        await queue.held()
        async with queue.open(queue.another()):
            later = await queue.accepted()
            await queue.until(lambda: queue.service.counts() == {"running": 1, "queued": 1})
    assert [work.id for work in queue.training.runs] == [job.id]
    assert later.server == job.server


@pytest.mark.parametrize(
    ("content", "purpose", "method", "words"),
    [
        (LINE, "user_data", "supervised", "purpose"),
        (LINE + b'{"prompt": "a"}\n', "fine-tune", "supervised", "Line 2"),
        (LINE, "fine-tune", "dpo", "Line 1"),
        (b"{}\n", "fine-tune", "supervised", "Line 1"),
    ],
)
@pytest.mark.parametrize("param", ["training_file", "validation_file"])
def test_invalid_files_are_refused(
    queue: QueueFixture, content: bytes, purpose: str, method: Any, words: str, param: str
) -> None:
    """A file with another purpose, another format or an invalid line is refused by field name and not stored."""
    wrong = queue.file(content, purpose)
    chosen = Hyperparameters(method=method)
    fine = b'{"input": {"messages": [{"role": "user", "content": "q"}]}, "preferred_output": '
    fine += b'[{"role": "assistant", "content": "y"}], "non_preferred_output": [{"role": "assistant", "content": "n"}]}'
    files = {"training_file": queue.file(fine if method == "dpo" else LINE), param: wrong}
    with pytest.raises(InvalidRequest, match=words) as refused:
        queue.service.create_job(queue.new_job(**files, hyperparameters=chosen))
    assert refused.value.param == param
    assert [path for path in queue.folder.rglob("*") if path.is_file()] == []
    assert queue.stores.queue.counts() == {}


def test_impossible_jobs_are_refused(queue: QueueFixture) -> None:
    """A missing file or extra, an invalid name and a full queue are refused, and no job is stored."""

    def refusal(**changes: Any) -> HomeportError:
        with pytest.raises(HomeportError) as refused:
            queue.service.create_job(queue.new_job(**changes))
        return refused.value

    assert refusal(training_file="file-none").param == "training_file"
    assert refusal(validation_file="file-none").param == "validation_file"
    assert refusal(suffix="refused").param == "suffix"
    queue.training.refusal = ExtraNotInstalled("pip install 'homeport[train]'")
    assert isinstance(refusal(), ExtraNotInstalled)
    assert queue.stores.queue.counts() == {}
    queue.training.refusal = None
    queue.service = queue.another(most_waiting=1)
    queue.service.create_job(queue.new_job())
    assert isinstance(refusal(), Overloaded)
    assert queue.stores.queue.counts() == {"queued": 1}
