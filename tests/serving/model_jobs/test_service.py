"""Model jobs without processes: queues, limits, and what is possible in which state."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from homeport.domain.errors import Conflict, InvalidRequest, NotFound, Overloaded, Unavailable
from homeport.domain.model_jobs import ModelJob, ModelJobStatus, NewModelJob, TaskEnd
from homeport.models.model_job_records import FOLDER
from homeport.serving.model_jobs import service
from homeport.serving.model_jobs.service import ModelJobService
from homeport.serving.model_jobs.transfer_rate import TransferRate
from tests.serving.model_jobs.fake_processes import Machine


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def pull(reference: str, **changes: object) -> NewModelJob:
    return msgspec.structs.replace(NewModelJob(task="pull", reference=reference), **changes)


async def reach(jobs: ModelJobService, job: ModelJob, is_reached: Callable[[ModelJob], bool]) -> ModelJob:
    """Wait until a job is as `is_reached` says."""
    async with asyncio.timeout(10):
        while True:
            version, now = jobs.version, jobs.find(job.task, job.id)
            if is_reached(now):
                return now
            await jobs.wait_for_change(version)


async def status(jobs: ModelJobService, job: ModelJob, wanted: ModelJobStatus) -> ModelJob:
    """Wait until a job has a status."""
    return await reach(jobs, job, lambda now: now.status == wanted)


async def test_a_few_pulls_run_at_a_time(machine: Machine) -> None:
    """Two pulls and one optimization run at a time; the others are queued and start in order."""
    jobs = machine.jobs()
    pulls = [await jobs.submit(pull(name)) for name in ("a", "b", "c", "d")]
    optimizations = [await jobs.submit(NewModelJob(task="optimize", reference=name)) for name in ("x", "y")]
    assert [jobs.find("pull", job.id).status for job in pulls] == ["running", "running", "queued", "queued"]
    assert [jobs.find("optimize", job.id).status for job in optimizations] == ["running", "queued"]
    await reach(jobs, pulls[0], lambda now: now.done_bytes == 40)
    machine.gate("a").set()
    await status(jobs, pulls[2], "running")
    assert jobs.find("pull", pulls[3].id).status == "queued"
    assert [job.reference for job in jobs.list_jobs("pull")] == ["d", "c", "b", "a"]
    await jobs.shut_down()
    assert sorted(machine.killed) == ["b", "c", "x"]


async def test_the_same_pull_is_one_job(machine: Machine) -> None:
    """The same pull returns the unfinished job and resumes it; one with other options is refused by name."""
    jobs = machine.jobs()
    job = await jobs.submit(pull("a"))
    assert (await jobs.submit(pull("a"))).id == job.id
    await jobs.pause("pull", job.id)
    again = await jobs.submit(pull("a"))
    assert (again.id, again.status) == (job.id, "running")
    with pytest.raises(Conflict, match=job.id):
        await jobs.submit(pull("a", projector="none"))
    await jobs.shut_down()


async def test_an_optimization_follows_a_pull(machine: Machine) -> None:
    """A completed pull that asks for it submits an optimization and names it."""
    jobs = machine.jobs()
    job = await jobs.submit(pull("a", optimize=True))
    await reach(jobs, job, lambda now: now.done_bytes == 40)
    machine.gate("a").set()
    done = await status(jobs, job, "completed")
    following = jobs.find("optimize", done.next_job or "")
    assert (done.status, following.reference, following.status) == ("completed", "tiny", "running")
    await jobs.shut_down()


async def test_a_pull_completes_without_the_optimization(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """If no optimization can be queued, the pull is completed all the same and names none."""
    monkeypatch.setattr(service, "MAX_UNFINISHED", 1)
    jobs = machine.jobs()
    job = await jobs.submit(pull("a", optimize=True))
    machine.gate("a").set()
    assert (await status(jobs, job, "completed")).next_job is None
    assert not jobs.list_jobs("optimize")


async def test_the_last_word_is_that_of_the_end(machine: Machine) -> None:
    """Of actions at the same time, one that ends the job prevails, and no process is left."""
    jobs = machine.jobs()
    job = await jobs.submit(pull("a"))
    await reach(jobs, job, lambda now: now.done_bytes == 40)
    actions = (jobs.pause, jobs.cancel, jobs.pause)
    results = await asyncio.gather(*(action("pull", job.id) for action in actions), return_exceptions=True)
    assert not [error for error in results if isinstance(error, Exception)]
    assert jobs.find("pull", job.id).status == "cancelled"
    assert (machine.running, machine.killed) == ([], ["a"])


async def test_a_job_that_cannot_be_recorded_is_refused(machine: Machine) -> None:
    """A job that would be lost by a restart is not accepted."""
    (machine.folder / FOLDER).write_text("in the way of the folder")
    jobs = machine.jobs()
    with pytest.raises(OSError, match=FOLDER):
        await jobs.submit(pull("a"))
    assert not jobs.list_jobs("pull")
    assert not machine.running


async def test_what_is_impossible_is_refused(machine: Machine) -> None:
    """A completed job can be neither paused nor resumed nor cancelled, and a running one cannot be deleted."""
    jobs = machine.jobs()
    job = await jobs.submit(pull("a"))
    with pytest.raises(InvalidRequest, match="is running, so it cannot be deleted"):
        await jobs.forget("pull", job.id)
    await reach(jobs, job, lambda now: now.done_bytes == 40)
    machine.gate("a").set()
    await status(jobs, job, "completed")
    for action in (jobs.pause, jobs.resume, jobs.cancel):
        with pytest.raises(InvalidRequest, match="is completed, so it cannot be"):
            await action("pull", job.id)
    with pytest.raises(NotFound):
        jobs.find("optimize", job.id)
    await jobs.forget("pull", job.id)
    assert not machine.jobs().list_jobs("pull")


async def test_cancelling_deletes_partial_files_of_the_model(machine: Machine) -> None:
    """Whether a pull runs, waits or is paused, cancelling it ends it and deletes what it fetched."""
    jobs = machine.jobs()
    job = await jobs.submit(pull("a"))
    await reach(jobs, job, lambda now: now.files_of == "tiny")
    assert jobs.active_on("tiny") is not None
    assert (await jobs.cancel("pull", job.id)).status == "cancelled"
    assert (machine.killed, machine.discarded) == (["a"], ["tiny"])
    assert jobs.active_on("tiny") is None
    assert (await jobs.cancel("pull", job.id)).status == "cancelled"
    assert machine.discarded == ["tiny"]


async def test_a_process_that_ends_without_a_result_is_a_failure(machine: Machine) -> None:
    """A job whose process was killed fails, and can be resumed."""
    machine.end = None
    jobs = machine.jobs()
    job = await jobs.submit(pull("a"))
    await reach(jobs, job, lambda now: now.done_bytes == 40)
    machine.gate("a").set()
    failed = await status(jobs, job, "failed")
    assert failed.error is not None
    assert failed.error.kind == "EngineFailed"
    machine.end = TaskEnd(model="tiny")
    assert (await jobs.resume("pull", job.id)).error is None
    await status(jobs, job, "completed")


async def test_a_restart_interrupts_jobs(machine: Machine) -> None:
    """After a kill or an orderly end, active jobs are `interrupted`; ended ones are as they were."""
    jobs = machine.jobs()
    job, queued = [await jobs.submit(pull(name)) for name in ("a", "b")]
    killed_view = machine.jobs()
    assert {each.status for each in killed_view.list_jobs("pull")} == {"interrupted"}
    await jobs.cancel("pull", job.id)
    await jobs.shut_down()
    found = {each.reference: each.status for each in machine.jobs().list_jobs("pull")}
    assert found == {"a": "cancelled", "b": "interrupted"}
    with pytest.raises(Unavailable):
        await jobs.submit(pull("c"))
    assert queued.id in {each.id for each in jobs.list_jobs("pull")}


async def test_unfinished_jobs_are_limited_and_old_ones_forgotten(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More unfinished jobs than the limit are refused, and only the latest ended ones are remembered."""
    monkeypatch.setattr(service, "MAX_UNFINISHED", 3)
    monkeypatch.setattr(service, "MAX_ENDED", 2)
    jobs = machine.jobs()
    made = [await jobs.submit(pull(name)) for name in ("a", "b", "c")]
    with pytest.raises(Overloaded):
        await jobs.submit(pull("d"))
    for job in made:
        await jobs.cancel("pull", job.id)
    await jobs.submit(pull("d"))
    assert [job.reference for job in jobs.list_jobs("pull")] == ["d", "c", "b"]
    await jobs.shut_down()
    assert [job.reference for job in machine.jobs().list_jobs("pull")] == ["d", "c", "b"]


def test_the_rate_is_that_of_the_last_seconds() -> None:
    """The rate counts the last five seconds, and is 0 before half a second has passed."""
    rate = TransferRate()
    rate.add(0, 0.0)
    rate.add(100, 0.1)
    assert rate.bytes_per_s == 0
    for second in range(1, 21):
        rate.add(1000 * second if second < 10 else 9000 + 10 * (second - 9), float(second))
    assert rate.bytes_per_s == pytest.approx(10)
