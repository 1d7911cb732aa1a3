"""Requests on worker processes: streams, credit, cancels, crashes, hangs, drain."""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import psutil
import pytest

from homeport.domain.errors import (
    EngineFailed,
    InvalidRequest,
    Overloaded,
    PayloadTooLarge,
    Unavailable,
)
from homeport.domain.events import (
    ChoiceFinished,
    Done,
    Event,
    TextDelta,
    Usage,
)
from homeport.domain.ports.serving import Serving
from homeport.serving.options import ServingOptions
from homeport.serving.worker_serving import WorkerServing
from tests.conftest import NewChildren
from tests.serving.conftest import DEADLINE_S, QUICK, answer, events, n_leases, prompt, scripted, until

Serve = Callable[..., Awaitable[WorkerServing]]


def pid_of(serving: WorkerServing) -> int:
    """Return the process id of the only worker."""
    (status,) = serving.worker_status()
    assert status.pid is not None
    return status.pid


def running(serving: WorkerServing) -> int:
    """Return the requests in the only worker's engine, as of its last heartbeat."""
    return serving.stats()["m"].running


async def test_answers(serve: Serve) -> None:
    """A request yields its deltas in order, then its end and its usage."""
    serving = await serve()
    as_the_port_says: Serving = serving  # held by the type checker
    assert as_the_port_says.is_ready
    assert await events(serving, "count 3") == [
        TextDelta(0, "1 "),
        TextDelta(0, "2 "),
        TextDelta(0, "3 "),
        ChoiceFinished(0, "stop"),
        Done(Usage(prompt_tokens=1, completion_tokens=3)),
    ]
    loaded = serving.loaded("m")
    assert loaded is not None
    assert loaded.window == 128
    assert serving.loaded("other") is None


async def test_concurrent_requests_share_one_load(serve: Serve, tmp_path: Path) -> None:
    """However many requests need a model that is not loaded, it is loaded once."""
    diary = tmp_path / "diary"
    serving = await serve(diary=str(diary))
    assert set(await asyncio.gather(*(answer(serving, "count 2") for _ in range(20)))) == {"1 2 "}
    assert len(diary.read_text().split()) == 1


async def test_engine_errors_are_returned_unchanged(serve: Serve) -> None:
    """A request that the engine refuses raises the engine's own error, and frees its place."""
    serving = await serve()
    stream = await serving.open(scripted(), prompt("reject"))
    with pytest.raises(InvalidRequest) as caught:
        await stream.admitted()
    assert caught.value.param == "prompt"
    assert n_leases(serving) == 0
    await stream.aclose()


async def test_more_deltas_than_credit(serve: Serve) -> None:
    """An answer many times longer than the credit arrives completely."""
    serving = await serve(msgspec.structs.replace(QUICK, credit=3))
    assert len((await answer(serving, "count 100")).split()) == 100


async def test_credit_bounds_what_waits_for_a_reader(serve: Serve) -> None:
    """For a reader that reads nothing the engine makes no more deltas than the credit."""
    serving = await serve(msgspec.structs.replace(QUICK, credit=8))
    stream = await serving.open(scripted(), prompt("count 1000"))
    await stream.admitted()
    await until(lambda: serving.stats()["m"].generated_tokens >= 8)
    assert await answer(serving, "count 5") == "1 2 3 4 5 "
    await until(lambda: serving.stats()["m"].generated_tokens >= 13)
    assert serving.stats()["m"].generated_tokens == 13
    batch = await anext(aiter(stream))
    assert len(batch) == 8
    await stream.aclose()


async def test_a_reader_that_stalls_gets_an_error(serve: Serve) -> None:
    """If events are not read for too long, the request is cancelled and the reader gets an error."""
    serving = await serve(msgspec.structs.replace(QUICK, credit=4, reader_stall_s=0.2))
    stream = await serving.open(scripted(), prompt("count 1000"))
    await stream.admitted()
    await until(lambda: not n_leases(serving))
    with pytest.raises(Unavailable, match="nothing was read"):
        await anext(aiter(stream))
    await until(lambda: not running(serving))
    await stream.aclose()


async def test_leaving_cancels_once(serve: Serve) -> None:
    """Closing a stream, even twice, cancels its request in the engine and releases its lease once."""
    serving = await serve()
    first = await serving.open(scripted(), prompt("wait"))
    second = await serving.open(scripted(), prompt("wait"))
    await first.admitted()
    await second.admitted()
    await until(lambda: running(serving) == 2)
    assert (serving.in_use("m"), serving.in_use("other")) == (2, 0)
    await first.aclose()
    await first.aclose()
    assert n_leases(serving) == serving.in_use("m") == 1
    await until(lambda: running(serving) == 1)
    assert serving.stats()["m"].preemptions == 1
    await second.aclose()
    assert [event async for event in second] == []


async def test_a_worker_that_floods_is_not_buffered(serve: Serve) -> None:
    """A worker that sends far beyond its credit loses that request; the others continue."""
    serving = await serve(msgspec.structs.replace(QUICK, credit=4))
    with pytest.raises(EngineFailed, match="more than it was allowed"):
        await events(serving, "flood 1000")
    assert await answer(serving, "count 1") == "1 "


async def test_large_steps_are_split(serve: Serve) -> None:
    """An event larger than a usual frame arrives whole; one over the limit fails only its own request."""
    serving = await serve()
    pid = None
    assert len(await answer(serving, "big 3000000")) == 3_000_000
    pid = pid_of(serving)
    with pytest.raises(EngineFailed, match="does not fit"):
        await events(serving, "big 17000000")
    assert await answer(serving, "count 1") == "1 "
    assert pid_of(serving) == pid


async def test_large_requests(serve: Serve) -> None:
    """A prompt of 20 MB reaches the engine; one over the link's limit is refused by name and affects no other."""
    serving = await serve(msgspec.structs.replace(QUICK, frame_bytes=21_000_000))
    assert await answer(serving, "count 1" + " " * 20_000_000) == "1 "
    with pytest.raises(PayloadTooLarge, match="Open"):
        await serving.open(scripted(), prompt("count 1" + " " * 21_000_000))
    assert n_leases(serving) == 0
    assert await answer(serving, "count 1") == "1 "


async def test_crash_in_the_middle_of_a_stream(serve: Serve) -> None:
    """When a worker aborts, its streams get earlier events and then an error; the next request uses a new worker."""
    serving = await serve()
    bystander = await serving.open(scripted(), prompt("wait"))
    await bystander.admitted()
    pid = pid_of(serving)
    stream = await serving.open(scripted(), prompt("abort 2"))
    await stream.admitted()
    seen: list[Event] = []

    async def read() -> None:
        async for batch in stream:
            seen.extend(batch)

    with pytest.raises(EngineFailed, match="worker stopped"):
        await read()
    assert seen == [TextDelta(0, "1 "), TextDelta(0, "2 ")]
    with pytest.raises(EngineFailed, match="worker stopped"):
        await anext(bystander)
    assert await answer(serving, "count 1") == "1 "
    assert pid_of(serving) != pid
    assert serving.is_ready
    assert serving.worker_status()[0].restarts == 1
    await stream.aclose()
    await bystander.aclose()


async def test_killed_worker_is_restarted(serve: Serve) -> None:
    """After a SIGKILL the server is not ready, then ready again without a request."""
    serving = await serve()
    assert await answer(serving, "count 1") == "1 "
    pid = pid_of(serving)
    os.kill(pid, signal.SIGKILL)
    await until(lambda: not serving.is_ready, 5)
    await until(lambda: serving.is_ready)
    assert pid_of(serving) != pid


async def test_stopped_worker_is_replaced(serve: Serve) -> None:
    """A worker under SIGSTOP is soon not ready, then killed and replaced; its stream ends with an error."""
    serving = await serve()
    stream = await serving.open(scripted(), prompt("wait"))
    await stream.admitted()
    pid = pid_of(serving)
    os.kill(pid, signal.SIGSTOP)
    await until(lambda: not serving.is_ready, 5)
    with pytest.raises(EngineFailed, match="did not answer"):
        async with asyncio.timeout(DEADLINE_S):
            await anext(stream)
    assert await answer(serving, "count 1") == "1 "
    assert not psutil.pid_exists(pid)
    await stream.aclose()


async def test_stuck_step_is_replaced(serve: Serve) -> None:
    """An engine stuck in one step, while its link still answers, is killed and replaced."""
    serving = await serve(msgspec.structs.replace(QUICK, stall_limit_s=0.3))
    with pytest.raises(EngineFailed, match="stuck in one step"):
        await events(serving, "sleep 600")
    assert await answer(serving, "count 1") == "1 "


async def test_crash_loop_pauses(serve: Serve, tmp_path: Path) -> None:
    """A worker that keeps crashing is restarted with pauses; requests meanwhile get the reason and the pause."""
    diary = tmp_path / "diary"
    serving = await serve(diary=str(diary), load="abort-if-told")
    assert await answer(serving, "count 1") == "1 "
    diary.with_suffix(".abort").touch()
    os.kill(pid_of(serving), signal.SIGKILL)
    await until(lambda: serving.worker_status()[0].state == "paused")
    assert not serving.is_ready
    with pytest.raises(Unavailable, match="SIGABRT") as caught:
        await events(serving, "count 1")
    assert caught.value.retry_after_s is not None
    assert caught.value.retry_after_s <= QUICK.restart_backoff_limit_s
    diary.with_suffix(".abort").unlink()
    await until(lambda: serving.is_ready)
    assert await answer(serving, "count 1") == "1 "


@pytest.mark.parametrize(
    ("how", "message"), [("missing", r"weights\.gguf"), ("abort", "SIGABRT"), ("hang", "not loaded within")]
)
async def test_load_failures_report_the_reason(serve: Serve, how: str, message: str, new_children: NewChildren) -> None:
    """A model that does not load is Unavailable with the reason, and leaves no process."""
    limit_s = 1.0 if how == "hang" else DEADLINE_S
    serving = await serve(msgspec.structs.replace(QUICK, load_limit_s=limit_s), load=how)
    with pytest.raises(Unavailable, match=message):
        await serving.open(scripted(), prompt("count 1"))
    assert serving.worker_status() == ()
    assert serving.is_ready
    assert not new_children()


async def test_load_failures_are_retried_after_a_pause(serve: Serve, tmp_path: Path) -> None:
    """A model that failed to load twice is not loaded again before its pause is over."""
    diary = tmp_path / "diary"
    serving = await serve(
        msgspec.structs.replace(QUICK, restart_backoff_s=30.0, restart_backoff_limit_s=30.0),
        diary=str(diary),
        load="missing",
    )
    for _ in range(5):
        with pytest.raises(Unavailable, match=r"weights\.gguf"):
            await serving.open(scripted(), prompt("count 1"))
    assert len(diary.read_text().split()) == 2


async def test_unknown_engine(serve: Serve) -> None:
    """A model of an engine that this server lacks is Unavailable by name."""
    serving = await serve()
    model = scripted()
    odd = msgspec.structs.replace(model, facts=msgspec.structs.replace(model.facts, engine="odd"))
    with pytest.raises(Unavailable, match="'odd'"):
        await serving.open(odd, prompt("count 1"))
    assert await answer(serving, "count 1") == "1 "


async def test_overload_is_refused_before_any_work(serve: Serve) -> None:
    """Beyond slots and queue a request is refused with `retry_after_s`; a released place can be taken."""
    serving = await serve(msgspec.structs.replace(QUICK, slots=1, max_queue=1))
    first = await serving.open(scripted(), prompt("wait"))
    second = await serving.open(scripted(), prompt("wait"))
    with pytest.raises(Overloaded) as caught:
        await serving.open(scripted(), prompt("wait"))
    assert caught.value.retry_after_s is not None
    await first.aclose()
    assert await answer(serving, "count 1") == "1 "
    await second.aclose()


async def test_leaving_while_it_loads(serve: Serve, tmp_path: Path) -> None:
    """A client that leaves during the load releases its place; the load continues for the next."""
    gate, diary = tmp_path / "gate", tmp_path / "diary"
    os.mkfifo(gate)
    serving = await serve(gate=str(gate), diary=str(diary))
    asking = asyncio.create_task(serving.open(scripted(), prompt("wait")))
    await until(diary.exists)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert n_leases(serving) == 0
    assert serving.worker_status()[0].state == "loading"
    gate.open("w").close()
    assert await answer(serving, "count 1") == "1 "
    assert len(diary.read_text().split()) == 1


async def test_native_noise_does_not_reach_the_gateway(serve: Serve, capfd: pytest.CaptureFixture[str]) -> None:
    """What a worker prints, however much, neither blocks it nor appears in the gateway's output."""
    serving = await serve(load="noise")
    assert await answer(serving, "count 1") == "1 "
    assert capfd.readouterr() == ("", "")


async def test_drain(serve: Serve) -> None:
    """A draining server refuses new requests and finishes streams; then no worker is left."""
    serving = await serve(msgspec.structs.replace(QUICK, credit=2))
    stream = await serving.open(scripted(), prompt("count 6"))
    await stream.admitted()
    pid = pid_of(serving)
    draining = asyncio.create_task(serving.drain(DEADLINE_S))
    await until(lambda: not serving.is_ready)
    with pytest.raises(Unavailable, match="shutting down"):
        await serving.open(scripted(), prompt("count 1"))
    got = [event async for batch in stream for event in batch]
    assert len([event for event in got if isinstance(event, TextDelta)]) == 6
    await draining
    assert not psutil.pid_exists(pid)
    assert serving.worker_status() == ()


async def test_drain_time_is_bounded(serve: Serve) -> None:
    """A stream that does not finish in the drain time ends with an error, and its worker is gone."""
    serving = await serve()
    stream = await serving.open(scripted(), prompt("stubborn"))
    await stream.admitted()
    pid = pid_of(serving)
    await serving.drain(0.1)
    with pytest.raises(EngineFailed, match="unloaded"):
        await anext(stream)
    assert not psutil.pid_exists(pid)
    await stream.aclose()


@pytest.mark.parametrize("field", ["slots", "credit", "heartbeat_s", "memory_bytes"])
def test_options_are_checked(field: str) -> None:
    """An invalid option is refused by name."""
    with pytest.raises(InvalidRequest, match=field):
        ServingOptions(**{field: 0})


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a process's environment is its own affair")
async def test_a_worker_gets_no_secret(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker's environment has what it needs, and none of the server's keys."""
    secrets = ("HOMEPORT_ADMIN_KEY", "HOMEPORT_DATABASE_URL", "AWS_SECRET_ACCESS_KEY", "HF_TOKEN", "NVIDIA_API_KEY")
    for name in (*secrets, "CUDA_VISIBLE_DEVICES"):
        monkeypatch.setenv(name, "0")
    serving = await serve()
    assert await answer(serving, "count 1") == "1 "
    found = psutil.Process(pid_of(serving)).environ()
    assert not found.keys() & set(secrets)
    assert {"PATH", "CUDA_VISIBLE_DEVICES"} <= found.keys()
