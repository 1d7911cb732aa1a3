"""Model jobs with real processes and a fake hub: progress, pause, interruption, cancellation, errors of the CLI."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from homeport.app.model_changes import pull_model
from homeport.app.model_library import SettingsModelLibrary
from homeport.app.model_task import model_task_launcher, run
from homeport.domain.model_jobs import ModelJob, NewModelJob
from homeport.domain.operations import NullProgress
from homeport.models.model_job_records import ModelJobFiles
from homeport.models.model_store import ModelStore
from homeport.serving.model_jobs.service import ModelJobService
from homeport.settings import Settings
from tests.models.fakes import REPO, FakeHub, gguf

NAME, FILE = "tiny-q4_k_m", "Tiny-Q4_K_M.gguf"
WEIGHTS = gguf(pad=2_000_000, template=False)
DEADLINE_S = 30
PULL = NewModelJob(task="pull", reference=f"hf:{REPO}")


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    with FakeHub() as running:
        running.files = {FILE: WEIGHTS}
        yield running


@pytest.fixture
def settings(hub: FakeHub, tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", hf_endpoint=hub.url, ms_endpoint=hub.url)


@asynccontextmanager
async def serving_jobs(settings: Settings) -> AsyncIterator[ModelJobService]:
    """The jobs of a server on this home, until it ends."""
    library = SettingsModelLibrary(settings)
    jobs = ModelJobService(model_task_launcher(settings), ModelJobFiles(settings.home), library.discard_partial)
    try:
        async with asyncio.timeout(DEADLINE_S):
            yield jobs
    finally:
        await jobs.shut_down()


async def reach(jobs: ModelJobService, job: ModelJob, is_reached: Callable[[ModelJob], bool]) -> ModelJob:
    """Wait until a job is as `is_reached` says; fail if it has failed otherwise."""
    while True:
        version, now = jobs.version, jobs.find(job.task, job.id)
        if is_reached(now):
            return now
        assert now.status != "failed", now.error
        await jobs.wait_for_change(version)


async def end(jobs: ModelJobService, job: ModelJob) -> ModelJob:
    """Wait until a job has ended."""
    return await reach(jobs, job, lambda now: now.status in ("completed", "failed"))


async def stall(hub: FakeHub) -> None:
    """Wait until the hub has sent half of the file and stalls."""
    await asyncio.to_thread(hub.stalled.wait, DEADLINE_S)


def release(hub: FakeHub) -> None:
    """Let the hub answer again."""
    assert hub.stalls is not None
    hub.stalls.set()
    hub.stalls = None


async def test_a_pull_reports_its_progress_and_installs_the_model(settings: Settings, hub: FakeHub) -> None:
    """A pull reports bytes while they arrive, and ends with a model in the store."""
    hub.stalls = threading.Event()
    async with serving_jobs(settings) as jobs:
        job = await jobs.submit(PULL)
        half = await reach(jobs, job, lambda now: now.done_bytes > 0)
        assert half.status == "running"
        assert half.total_bytes == len(WEIGHTS)
        assert 0 < half.done_bytes < len(WEIGHTS)
        assert jobs.active_on(NAME) == half
        release(hub)
        done = await end(jobs, job)
    assert (done.status, done.model, done.done_bytes) == ("completed", NAME, len(WEIGHTS))
    assert done.ended_at is not None
    model = ModelStore(settings.home).find(NAME)
    assert model is not None
    assert model.files["weights"].read_bytes() == WEIGHTS


async def test_a_paused_pull_resumes_where_it_stopped(settings: Settings, hub: FakeHub) -> None:
    """A paused pull keeps its bytes and frees the model for others; resumed, it asks for the missing ones only."""
    hub.stalls = threading.Event()
    async with serving_jobs(settings) as jobs:
        job = await jobs.submit(PULL)
        await reach(jobs, job, lambda now: now.done_bytes > 0)
        await stall(hub)
        paused = await jobs.pause("pull", job.id)
        assert (paused.status, jobs.active_on(NAME)) == ("paused", None)
        with ModelStore(settings.home).lock_model(NAME) as folder:
            assert [part.stat().st_size > 0 for part in folder.glob("*.part")] == [True]
        release(hub)
        assert (await jobs.resume("pull", job.id)).status == "running"
        assert (await end(jobs, job)).status == "completed"
    ranges = [headers.get("range") for headers in hub.gets("resolve")]
    assert ranges[0] is None
    assert str(ranges[1]).startswith("bytes=")


async def test_a_restarted_server_lists_the_interrupted_pull(settings: Settings, hub: FakeHub) -> None:
    """A pull that the end of its server interrupted is listed by the next one, which can resume it."""
    hub.stalls = threading.Event()
    async with serving_jobs(settings) as jobs:
        job = await jobs.submit(PULL)
        await reach(jobs, job, lambda now: now.done_bytes > 0)
        await stall(hub)
    release(hub)
    async with serving_jobs(settings) as jobs:
        [listed] = jobs.list_jobs("pull")
        assert (listed.id, listed.status, listed.total_bytes) == (job.id, "interrupted", len(WEIGHTS))
        await jobs.resume("pull", job.id)
        assert (await end(jobs, job)).status == "completed"
    assert len(hub.gets("resolve")) == 2


async def test_a_cancelled_pull_leaves_nothing(settings: Settings, hub: FakeHub) -> None:
    """Cancelling a pull deletes what it has fetched, and the model can be pulled anew."""
    hub.stalls = threading.Event()
    async with serving_jobs(settings) as jobs:
        job = await jobs.submit(PULL)
        await reach(jobs, job, lambda now: now.done_bytes > 0)
        await stall(hub)
        cancelled = await jobs.cancel("pull", job.id)
        assert cancelled.status == "cancelled"
        assert not ModelStore(settings.home).folder(NAME).exists()
        release(hub)
        again = await jobs.submit(PULL)
        assert again.id != job.id
        assert (await end(jobs, again)).status == "completed"


async def test_one_download_serves_jobs_and_commands(settings: Settings, hub: FakeHub) -> None:
    """The same pull twice is one job; a command that pulls the model meanwhile waits for it, and bytes come once."""
    hub.stalls = threading.Event()
    async with serving_jobs(settings) as jobs:
        job = await jobs.submit(PULL)
        await reach(jobs, job, lambda now: now.done_bytes > 0)
        assert (await jobs.submit(PULL)).id == job.id
        command = asyncio.create_task(asyncio.to_thread(pull_model, settings, PULL.reference, NullProgress()))
        release(hub)
        assert (await end(jobs, job)).status == "completed"
        assert (await command).facts.name == NAME
    assert len(hub.gets("resolve")) == 1


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"hf_endpoint": "http://127.0.0.1:9"}, "set HF_ENDPOINT"),
        ({"offline": True}, "HOMEPORT_OFFLINE is set"),
    ],
)
def test_a_failed_pull_says_what_the_command_says(
    changes: dict[str, object], text: str, settings: Settings, tmp_path: Path
) -> None:
    """The error of a job has the text of the command line, which says what to set."""
    order = _order({"home": str(tmp_path), "hf_endpoint": settings.hf_endpoint, **changes})
    end = run(order)
    assert end.error is not None
    assert (end.error.kind, text in end.error.message) == ("Unavailable", True)


def test_wrong_bytes_fail_a_pull(settings: Settings, hub: FakeHub, tmp_path: Path) -> None:
    """A file with another hash than the announced one is not installed."""
    hub.served[FILE] = WEIGHTS[:-1] + b"\xff"
    end = run(_order({"home": str(tmp_path), "hf_endpoint": settings.hf_endpoint}))
    assert end.error is not None
    assert "wrong bytes" in end.error.message


def test_a_bad_reference_fails_a_pull() -> None:
    """A reference of no known form fails the job with the forms that exist, and so does an order that is broken."""
    end = run(_order({}, "no such reference:"))
    assert end.error is not None
    assert "is not a reference to a model" in end.error.message
    broken = run(b"{}")
    assert broken.error is not None
    assert broken.error.kind == "EngineFailed"


def _order(settings: dict[str, object], reference: str = PULL.reference) -> bytes:
    return msgspec.json.encode({"settings": settings, "job": ModelJob(id="pull_1", task="pull", reference=reference)})
