"""Batches run to their end, whatever happens meanwhile; the server that answers is a script."""

import asyncio
import json
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from homeport.domain.batches import Batch, DispatchedResponse, LineResult, NewBatch
from homeport.domain.errors import StorageFull
from homeport.domain.files import NewFile
from homeport.serving.background_loops import BackgroundLoops
from homeport.serving.batches import batch_run
from homeport.serving.batches import runner as desks
from homeport.serving.batches.runner import MAX_CONCURRENT_LINES, BatchRunner
from homeport.store import migration
from homeport.store.batches import SqlBatchRepository
from homeport.store.blobs import BlobStore
from homeport.store.database import Database
from homeport.store.files import SqlFileRepository
from homeport.store.project_storage import SqlProjectStorage
from homeport.store.schema import BATCHES
from tests.serving.conftest import until

URL = "/v1/completions"
Answer = Callable[[dict[str, Any]], DispatchedResponse]


def good(body: dict[str, Any]) -> DispatchedResponse:
    """Answer with the request's content."""
    usage = {"prompt_tokens": 2, "completion_tokens": 1}
    return DispatchedResponse(
        status=200, request_id="r", body=json.dumps({"text": body["prompt"], "usage": usage}).encode()
    )


class RunnerFixture:
    """A store, a scripted server (`answer`), a gate, and runners that come and go. `now` is the wall clock."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now = 1_800_000_000.0
        self.database = Database(f"sqlite:///{folder}/homeport.db")
        migration.prepare_database(self.database)
        self.files = SqlFileRepository(self.database, BlobStore(str(folder / "blobs")), lambda: self.now)
        self.repository = SqlBatchRepository(self.database, self.files, lambda: self.now)
        self.answer: Answer = good
        self.loops = BackgroundLoops(first_s=0.0, limit_s=0.0)
        self.asked: list[tuple[str, str, str, str]] = []
        self.at_once = self.most_at_once = 0
        self.going = asyncio.Event()
        self.going.set()
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, project: str, key: str, path: str, body: bytes) -> DispatchedResponse:
        """Implement the port RequestDispatcher."""
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            asked = json.loads(body)
            self.asked.append((project, key, path, asked["prompt"]))
            await self.going.wait()
            return self.answer(asked)
        finally:
            self.at_once -= 1

    @property
    def is_open(self) -> bool:
        """Implement the port IdleGate."""
        return self.gate.is_set()

    async def wait_open(self) -> None:
        """Implement the port IdleGate."""
        await self.gate.wait()

    def made(self, lines: Sequence[object], project: str = "one", **more: Any) -> Batch:
        """Create a batch of these lines."""
        path = self.folder / "input"
        path.write_text("\n".join(json.dumps(line) for line in lines))
        kept = self.files.create(NewFile(project=project, purpose="batch", filename="i"), content=path)
        wanted = NewBatch(
            project=project,
            key="key_1",
            endpoint=URL,
            input_file_id=kept.id,
            **more,
        )
        return self.repository.create(wanted)

    def stop_after(self, n: int, batch: Batch) -> None:
        """Stop answering once `n` lines have a result."""

        def answer(body: dict[str, Any]) -> DispatchedResponse:
            if len(self.repository.finished_lines(batch.id)) >= n:
                self.going.clear()
            return good(body)

        self.answer = answer

    @asynccontextmanager
    async def running_runner(self) -> AsyncIterator[BatchRunner]:
        """Run a runner; at the end of the block it stops as in a server that shuts down."""
        made = BatchRunner(self.repository, self.files, self, self, self.folder / "spool", self.loops, lambda: self.now)
        work = asyncio.create_task(made.run())
        try:
            yield made
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)

    async def ended(self, batch: Batch) -> Batch:
        """Wait until the batch has ended, and return it."""
        await until(lambda: self.shown(batch).has_ended)
        return self.shown(batch)

    def shown(self, batch: Batch) -> Batch:
        """Return the batch's current state."""
        return self.repository.get(batch.project, batch.id)

    async def lines(self, batch: Batch, file_id: str | None) -> list[dict[str, Any]]:
        """Return the lines of one of its files, none if it has no such file."""
        if file_id is None:
            return []
        content = [piece async for piece in self.files.read(self.files.get(batch.project, file_id))]
        return [json.loads(line) for line in b"".join(content).splitlines()]


def line(name: str, **changed: Any) -> dict[str, Any]:
    return {"custom_id": name, "method": "POST", "url": URL, "body": {"model": "m", "prompt": name}, **changed}


@pytest.fixture
def setup(tmp_path: Path) -> RunnerFixture:
    return RunnerFixture(tmp_path)


async def test_a_batch_runs_and_its_invalid_lines_are_reported(setup: RunnerFixture) -> None:
    """Each valid line runs once in its project's name, and each line is once in one of two files, in order."""
    names = [f"r{at}" for at in range(30)]
    lines = [line(name) for name in names]
    lines[3]["url"] = "/v1/edits"
    setup.answer = lambda body: (
        DispatchedResponse(status=404, request_id="r", body=b"{}") if body["prompt"] == "r7" else good(body)
    )
    batch = setup.made(lines, metadata={"a": "b"})
    async with setup.running_runner():
        ended = await setup.ended(batch)
    assert (ended.status, ended.model, ended.total, ended.completed, ended.failed) == ("completed", "m", 30, 28, 2)
    assert (ended.input_tokens, ended.output_tokens) == (56, 28)
    done = await setup.lines(ended, ended.output_file_id)
    assert [each["custom_id"] for each in done] == [name for name in names if name not in ("r3", "r7")]
    assert all(each["response"]["body"]["text"] == each["custom_id"] for each in done)
    failed = await setup.lines(ended, ended.error_file_id)
    assert [(each["custom_id"], each["error"] is None) for each in failed] == [("r3", False), ("r7", True)]
    assert sorted(setup.asked) == sorted(("one", "key_1", URL, name) for name in names if name != "r3")
    assert setup.most_at_once <= MAX_CONCURRENT_LINES
    times = (ended.in_progress_at, ended.finalizing_at, ended.completed_at)
    assert times == (int(setup.now),) * 3
    assert not list((setup.folder / "spool").iterdir())


async def test_a_batch_without_errors_has_no_error_file(setup: RunnerFixture) -> None:
    """A file that would be empty is not created."""
    async with setup.running_runner():
        ended = await setup.ended(setup.made([line("a")]))
    assert ended.output_file_id is not None
    assert ended.error_file_id is None


async def test_work_resumes_where_it_stopped(setup: RunnerFixture) -> None:
    """However often the server stops in the middle, each line is once in the file and does not run twice."""
    batch = setup.made([line(f"r{at}") for at in range(60)])
    for stop_at in (15, 40):

        def answer(body: dict[str, Any], stop_at: int = stop_at) -> DispatchedResponse:
            if len(setup.repository.finished_lines(batch.id)) >= stop_at:
                setup.going.clear()
            return good(body)

        setup.answer = answer
        async with setup.running_runner():
            await until(lambda: not setup.going.is_set())
        assert stop_at <= setup.shown(batch).completed < 60
        setup.going.set()
    setup.answer = good
    answered = len(setup.repository.finished_lines(batch.id))
    before = len(setup.asked)
    async with setup.running_runner():
        ended = await setup.ended(batch)
    assert len(setup.asked) - before == 60 - answered
    done = await setup.lines(ended, ended.output_file_id)
    assert [each["custom_id"] for each in done] == [f"r{at}" for at in range(60)]
    assert (ended.completed, ended.failed, ended.input_tokens) == (60, 0, 120)


async def test_a_process_that_was_killed_is_taken_over(setup: RunnerFixture) -> None:
    """A batch without an owner is taken over by another process, and existing files are not created again."""
    batch = setup.made([line("a"), line("b", url="/v1/edits")])
    owned = setup.repository.claim("dead", 5)
    assert owned is not None
    setup.repository.start("dead", batch.id, 2, "m")
    setup.repository.add_results("dead", batch.id, [LineResult(line=1, text="{}", is_answer=True)])
    setup.repository.add_results("dead", batch.id, [LineResult(line=2, text="{}", is_answer=False)])
    setup.repository.start_finalizing("dead", batch.id)
    (setup.folder / "made").write_text("{}\n")
    kept = setup.repository.create_output_file("dead", batch, setup.folder / "made", are_answers=True)
    async with setup.running_runner():
        await asyncio.sleep(0)
        setup.now += 6
        ended = await setup.ended(batch)
    assert setup.asked == []
    assert (ended.status, ended.output_file_id) == ("completed", kept.output_file_id)
    assert ended.error_file_id is not None


async def test_a_lost_batch_runs_no_line_on(setup: RunnerFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server whose batch another one has taken over ends its lines as soon as it knows, and records nothing."""
    monkeypatch.setattr(desks, "RENEW_INTERVAL_S", 0.01)
    batch = setup.made([line(f"r{at}") for at in range(4)])
    setup.going.clear()
    async with setup.running_runner():
        await until(lambda: setup.at_once == 4)
        with setup.database.write_transaction() as connection:
            connection.execute(sa.update(BATCHES).values(owner="thief", owned_until=setup.now + 100))
        await until(lambda: setup.at_once == 0)
    assert setup.repository.finished_lines(batch.id) == set()
    assert setup.repository.renew("thief", batch.id, 100).status == "in_progress"


async def test_a_cancelled_batch_keeps_its_results(setup: RunnerFixture) -> None:
    """Running lines are cancelled; finished ones are in the file; the rest is nowhere."""
    batch = setup.made([line(f"r{at}") for at in range(40)])
    setup.stop_after(10, batch)
    async with setup.running_runner():
        await until(lambda: not setup.going.is_set() and setup.at_once == MAX_CONCURRENT_LINES)
        assert setup.repository.cancel("one", batch.id).status == "cancelling"
        ended = await setup.ended(batch)
    assert setup.at_once == 0
    assert (ended.status, ended.failed, ended.total) == ("cancelled", 0, 40)
    assert len(await setup.lines(ended, ended.output_file_id)) == ended.completed >= 10


async def test_a_late_batch_expires(setup: RunnerFixture) -> None:
    """Lines that did not run when the day is over are errors, and all lines are counted."""
    batch = setup.made([line(f"r{at}") for at in range(20)])
    setup.stop_after(5, batch)
    async with setup.running_runner():
        await until(lambda: not setup.going.is_set())
        setup.now += 86_401
        ended = await setup.ended(batch)
    assert ended.status == "expired"
    assert ended.expired_at is not None
    assert ended.completed + ended.failed == ended.total == 20
    failed = await setup.lines(ended, ended.error_file_id)
    assert {each["error"]["code"] for each in failed} == {"batch_expired"}
    done = await setup.lines(ended, ended.output_file_id)
    assert sorted(each["custom_id"] for each in [*done, *failed]) == sorted(f"r{at}" for at in range(20))


async def test_an_invalid_batch_fails(setup: RunnerFixture) -> None:
    """Without a valid line, or without its file, it fails with the reason and the line."""
    bad = setup.made([line("a", url="/v1/edits")])
    lost = setup.made([line("a")])
    setup.files.delete("one", lost.input_file_id)
    async with setup.running_runner():
        ended, gone = await setup.ended(bad), await setup.ended(lost)
    assert (ended.status, ended.errors[0].code, ended.errors[0].line) == ("failed", "mismatched_url", 1)
    assert (gone.status, gone.errors[0].code, gone.errors[0].param) == ("failed", "file_not_found", "input_file_id")
    assert ended.failed_at is not None
    assert setup.asked == []


async def test_a_line_waits_for_its_limits(setup: RunnerFixture) -> None:
    """What the key's limits refuse now is retried, and is no error."""
    answers = iter([DispatchedResponse(status=429, request_id="r", body=b"{}", retry_after_s=0.01)] * 3)
    setup.answer = lambda body: next(answers, None) or good(body)
    async with setup.running_runner():
        ended = await setup.ended(setup.made([line("a")]))
    assert (ended.completed, len(setup.asked)) == (1, 4)


async def test_no_line_starts_while_callers_wait(setup: RunnerFixture) -> None:
    """While the gate is closed no line starts."""
    setup.gate.clear()
    batch = setup.made([line("a")])
    async with setup.running_runner() as running_runner:
        await until(lambda: setup.shown(batch).status == "in_progress" and running_runner.lines_left == 1)
        assert (running_runner.running, setup.asked) == (1, [])
        setup.gate.set()
        await setup.ended(batch)


async def test_a_full_disk_is_waited_for(setup: RunnerFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """A result that does not fit on the disk is stored later, and its line does not run again."""
    monkeypatch.setattr(batch_run, "_RETRY_INTERVAL_S", 0.01)
    record, refusals = setup.repository.add_results, [StorageFull("full")] * 3
    lock = threading.Lock()

    def full(owner: str, batch_id: str, outcomes: Sequence[LineResult]) -> None:
        with lock:
            if refusals:
                raise refusals.pop()
        record(owner, batch_id, outcomes)

    monkeypatch.setattr(setup.repository, "add_results", full)
    async with setup.running_runner():
        ended = await setup.ended(setup.made([line("a")]))
    assert (ended.completed, len(setup.asked), refusals) == (1, 1, [])


async def test_batches_run_concurrently(setup: RunnerFixture) -> None:
    """A short batch after a long one does not wait for its end."""
    long = setup.made([line(f"r{at}") for at in range(40)])
    short = setup.made([line("s")], project="other")

    async def slowly(project: str, key: str, path: str, body: bytes) -> DispatchedResponse:
        if project == "one" and len(setup.repository.finished_lines(long.id)) > 20:
            await until(lambda: setup.shown(short).has_ended)
        return good(json.loads(body))

    running_runner = BatchRunner(
        setup.repository, setup.files, slowly, setup, setup.folder / "spool", setup.loops, lambda: setup.now
    )
    work = asyncio.create_task(running_runner.run())
    try:
        assert (await setup.ended(long)).completed == 40
    finally:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)


async def test_no_error_ends_the_runner(setup: RunnerFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever claiming raises, it is counted, and the next attempt finds the batches."""
    claim, errors = setup.repository.claim, [OSError(24, "Too many open files"), KeyError("inside")]

    def failing(owner: str, lease_s: float) -> Batch | None:
        if errors:
            raise errors.pop()
        return claim(owner, lease_s)

    monkeypatch.setattr(setup.repository, "claim", failing)
    batch = setup.made([line("a")])
    async with setup.running_runner():
        assert (await setup.ended(batch)).status == "completed"
    assert setup.loops.failures()["batches"] == 2


async def test_no_error_ends_the_ownership_of_a_batch(setup: RunnerFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever renewing a batch's ownership raises, it is retried, so that no other process takes it over."""
    monkeypatch.setattr(desks, "RENEW_INTERVAL_S", 0.01)
    monkeypatch.setattr(desks, "_RETRY_INTERVAL_S", 0.01)
    renew, calls = setup.repository.renew, Counter[str]()

    def failing(owner: str, batch_id: str, lease_s: float) -> Batch:
        calls["all"] += 1
        if calls["all"] in (2, 3):  # the first call is the run's own
            raise OSError(24, "Too many open files")
        return renew(owner, batch_id, lease_s)

    monkeypatch.setattr(setup.repository, "renew", failing)
    setup.going.clear()
    batch = setup.made([line("a")])
    async with setup.running_runner():
        await until(lambda: calls["all"] >= 6)
        setup.going.set()
        assert (await setup.ended(batch)).status == "completed"


async def test_a_batch_stores_no_more_than_the_project_may(setup: RunnerFixture) -> None:
    """Once its results fill the project's storage, the remaining lines are refused, and reported."""
    batch = setup.made([line(f"r{n}") for n in range(40)])
    setup.files.storage = SqlProjectStorage(setup.database, 3_000_000)
    setup.answer = lambda _: DispatchedResponse(
        status=200, request_id="r", body=json.dumps({"text": "x" * 400_000}).encode()
    )
    async with setup.running_runner():
        ended = await setup.ended(batch)
    assert ended.status == "completed"
    assert ended.completed + ended.failed == 40
    assert 3_000_000 / 400_000 <= ended.completed <= 3_000_000 / 400_000 + 2 * 8
    refused = await setup.lines(ended, ended.error_file_id)
    assert {each["error"]["code"] for each in refused} == {"storage_limit_exceeded"}
