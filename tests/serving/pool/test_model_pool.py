"""Which models are loaded: idle ones are unloaded, the budget holds, no model starves, nothing leaks."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import psutil
import pytest

from homeport.domain.errors import HomeportError, Unavailable
from homeport.serving.pool.pooled_model import PooledModel
from homeport.serving.worker_serving import WorkerServing
from homeport.serving.workers.frames import LaunchMessage
from homeport.serving.workers.session import WorkerSession
from tests.conftest import NewChildren, Scale
from tests.serving.conftest import DEADLINE_S, QUICK, answer, prompt, scripted, until

Serve = Callable[..., Awaitable[WorkerServing]]

TIGHT = msgspec.structs.replace(QUICK, memory_bytes=1_000_000_000, room_patience_s=0.1, room_wait_s=DEADLINE_S)
BIG = 600_000_000


def names(serving: WorkerServing) -> list[str]:
    """Return the models in the pool."""
    return [status.model for status in serving.worker_status()]


async def test_idle_models_are_unloaded(serve: Serve) -> None:
    """A model unused for a while is unloaded: its process has ended; the next request loads it again."""
    serving = await serve(msgspec.structs.replace(QUICK, idle_s=0.2), ballast=50_000_000)
    stream = await serving.open(scripted(), prompt("wait"))
    await stream.admitted()
    pid = serving.worker_status()[0].pid
    assert pid is not None
    assert serving.worker_status()[0].memory_bytes > 50_000_000
    await until(lambda: psutil.Process(pid).cpu_times().user >= 0 and serving.stats()["m"].running == 1)
    assert names(serving) == ["m"]
    await stream.aclose()
    await until(lambda: not serving.worker_status())
    assert not psutil.pid_exists(pid)
    assert await answer(serving, "count 1") == "1 "


async def test_the_memory_of_workers_is_known_without_measuring(serve: Serve) -> None:
    """The memory of every worker is measured regularly, and what was measured last is returned at once."""
    serving = await serve(msgspec.structs.replace(QUICK, idle_s=60.0), ballast=50_000_000)
    assert await answer(serving, "count 1") == "1 "
    await until(lambda: serving.worker_bytes().get("m", 0) > 50_000_000)
    await serving.stop("m")
    assert serving.worker_bytes() == {}


async def test_an_operator_stops_an_idle_model(serve: Serve) -> None:
    """A model without requests is stopped once; stopped again, there is nothing to stop."""
    serving = await serve()
    await serving.preload([scripted("kept")])
    assert names(serving) == ["kept"]
    assert await serving.stop("kept")
    assert names(serving) == []
    assert not await serving.stop("kept")


async def test_a_worker_that_cannot_be_watched_is_replaced(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the heartbeat of a worker fails, that worker ends before another one starts in its place."""
    over, pids = WorkerSession.wait_ended, list[int]()

    async def breaks(session: WorkerSession) -> HomeportError:
        if not pids:
            assert session.pid is not None
            pids.append(session.pid)
            raise RuntimeError("this must not happen")
        return await over(session)

    monkeypatch.setattr(WorkerSession, "wait_ended", breaks)
    serving = await serve(QUICK)
    await serving.preload([scripted()])
    await until(lambda: bool(pids) and not psutil.pid_exists(pids[0]))
    await until(lambda: serving.is_ready)
    assert await answer(serving, "count 1") == "1 "


async def test_stop_waits_for_requests(serve: Serve) -> None:
    """Stopping a model lets its requests finish in the given time; new ones wait for a new worker."""
    serving = await serve(msgspec.structs.replace(QUICK, credit=1))
    stream = await serving.open(scripted(), prompt("count 3"))
    await stream.admitted()
    pid = serving.worker_status()[0].pid
    stopping = asyncio.create_task(serving.stop("m", DEADLINE_S))
    await until(lambda: serving.worker_status()[0].state == "stopping")
    later = asyncio.create_task(answer(serving, "count 1"))
    assert len([event async for batch in stream for event in batch]) == 5
    assert await stopping
    assert await later == "1 "
    assert serving.worker_status()[0].pid != pid


async def test_the_least_recently_used_is_evicted(serve: Serve) -> None:
    """If memory is short, the least recently used idle model is unloaded, and no other."""
    serving = await serve(TIGHT)
    for name in ("a", "b", "a"):
        await answer(serving, "count 1", scripted(name, 400_000_000))
    assert names(serving) == ["a", "b"]
    await answer(serving, "count 1", scripted("c", 400_000_000))
    assert names(serving) == ["a", "c"]


async def test_larger_than_the_budget(serve: Serve) -> None:
    """A model that can never fit is refused at once, with both sizes, and unloads nothing."""
    serving = await serve(TIGHT)
    await answer(serving, "count 1", scripted("small", BIG))
    with pytest.raises(Unavailable, match=r"2\.00 GB.*1\.00 GB"):
        async with asyncio.timeout(5):
            await answer(serving, "count 1", scripted("huge", 2_000_000_000))
    assert names(serving) == ["small"]


async def test_models_in_use_are_not_unloaded(serve: Serve) -> None:
    """A load that finds only models in use waits, is refused after its time, and their streams continue."""
    serving = await serve(msgspec.structs.replace(TIGHT, room_wait_s=0.3))
    used = scripted("used", BIG)
    stream = await serving.open(used, prompt("wait"))
    await stream.admitted()
    with pytest.raises(Unavailable, match="no room"):
        await answer(serving, "count 1", scripted("other", BIG))
    assert names(serving) == ["used"]
    assert await answer(serving, "count 1", used) == "1 "
    await stream.aclose()
    assert await answer(serving, "count 1", scripted("other", BIG)) == "1 "
    assert names(serving) == ["other"]


async def test_leaving_while_waiting_for_room(serve: Serve) -> None:
    """A load that no request waits for is cancelled before it starts, and can be requested again."""
    serving = await serve(TIGHT)
    stream = await serving.open(scripted("used", BIG), prompt("wait"))
    other = scripted("other", BIG)
    asking = asyncio.create_task(serving.open(other, prompt("wait")))
    await until(lambda: names(serving) == ["used", "other"])
    asking.cancel()
    again = asyncio.create_task(answer(serving, "count 1", other))
    with pytest.raises(asyncio.CancelledError):
        await asking
    await stream.aclose()
    assert await again == "1 "


async def test_no_model_starves(serve: Serve) -> None:
    """Three models under constant overlapping use, in memory for one: all are served, never two at a time."""
    serving = await serve(TIGHT)
    models = [scripted(name, BIG) for name in ("a", "b", "c")]
    running: list[int] = []

    async def use(number: int) -> str:
        text = await answer(serving, "count 5", models[number % 3])
        running.append(sum(status.pid is not None for status in serving.worker_status()))
        return text

    async with asyncio.timeout(DEADLINE_S):
        assert set(await asyncio.gather(*(use(number) for number in range(24)))) == {"1 2 3 4 5 "}
    assert max(running) == 1


async def test_replaced_files_are_reloaded(serve: Serve) -> None:
    """When a model's files change, the next request after the last lease uses the new ones."""
    serving = await serve()
    await answer(serving, "count 1", scripted(digest="old"))
    pid = serving.worker_status()[0].pid
    await answer(serving, "count 1", scripted(digest="new"))
    assert serving.worker_status()[0].pid != pid
    assert names(serving) == ["m"]


async def cycle(serving: WorkerServing, times: int, new_children: NewChildren) -> None:
    """Load, serve and unload; then descriptors, children and tasks are as few as after the first time."""
    this = psutil.Process()

    async def once() -> None:
        assert set(await asyncio.gather(*(answer(serving, "count 2") for _ in range(4)))) == {"1 2 "}
        assert await serving.stop("m")

    await once()
    fds, tasks = this.num_fds(), len(asyncio.all_tasks())
    for _ in range(times):
        await once()
    await until(lambda: this.num_fds() <= fds and len(asyncio.all_tasks()) <= tasks)
    assert not new_children()


async def test_cycles_leak_nothing(serve: Serve, tmp_path: Path, new_children: NewChildren) -> None:
    """Ten loads and unloads leave no descriptor, process or task, and load once each."""
    diary = tmp_path / "diary"
    await cycle(await serve(diary=str(diary)), 10, new_children)
    assert len(diary.read_text().split()) == 11


@pytest.mark.soak
async def test_many_cycles_leak_nothing(serve: Serve, scale: Scale, new_children: NewChildren) -> None:
    """Many loads and unloads leave nothing, and memory within 5 % of the beginning."""
    serving = await serve()
    await cycle(serving, 20, new_children)
    before = psutil.Process(os.getpid()).memory_info().rss
    await cycle(serving, scale(60, 200), new_children)
    assert psutil.Process(os.getpid()).memory_info().rss <= before * 1.05


async def test_a_failure_does_not_end_the_search_for_idle_models(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """If one model cannot be measured, for example without file descriptors, others are still unloaded when idle."""
    measure = PooledModel.measure

    def failing(pooled: PooledModel) -> None:
        if pooled.name == "odd":
            raise OSError(24, "Too many open files")
        measure(pooled)

    monkeypatch.setattr(PooledModel, "measure", failing)
    serving = await serve(msgspec.structs.replace(QUICK, idle_s=0.1))
    await serving.preload([scripted("odd"), scripted("free")])
    await until(lambda: names(serving) == ["odd"])
    monkeypatch.setattr(PooledModel, "measure", measure)
    await until(lambda: not names(serving))


async def test_a_failed_restart_is_retried(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the restart of a worker raises, the next attempt follows after a pause, and the model is back."""
    serving = await serve(QUICK)
    await answer(serving, "count 1")
    launch, errors = WorkerSession._start, [RuntimeError("can't start new thread"), OSError(24, "Too many open files")]

    async def failing(session: WorkerSession, message: LaunchMessage) -> None:
        if errors:
            raise errors.pop()
        await launch(session, message)

    monkeypatch.setattr(WorkerSession, "_start", failing)
    pid = serving.worker_status()[0].pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    await until(lambda: not errors and serving.worker_status()[0].pid not in (None, pid))
    assert await answer(serving, "count 1") == "1 "
