"""Serving with scripted workers, and helpers that its tests share."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import msgspec
import pytest

from homeport.cluster.cluster_serving import ClusterServing
from homeport.domain.content import attach
from homeport.domain.events import Event, TextDelta
from homeport.domain.models import InstalledModel, ModelFacts
from homeport.domain.ports.serving import Serving
from homeport.domain.text import TextPrompt, TextRequest
from homeport.domain.worker_messages import EngineSpec
from homeport.serving.options import ServingOptions
from homeport.serving.worker_serving import WorkerServing
from homeport.serving.workers.engine_entry_points import entry_point
from homeport.serving.workers.frames import LaunchMessage
from tests.cluster.local_replicas import LocalCluster

DEADLINE_S = 20.0
ENGINE = "tests.serving.scripted_engine:load"

Value = str | int | float | bool | None
EngineOptions = dict[str, Value]

QUICK = ServingOptions(heartbeat_s=0.05, heartbeat_limit_s=1.0, restart_backoff_s=0.2, restart_backoff_limit_s=0.5)


def scripted(name: str = "m", size_bytes: int = 0, digest: str = "d") -> InstalledModel:
    """Return a model of the scripted engine."""
    facts = ModelFacts(name=name, kind="text", engine="scripted", size_bytes=size_bytes)
    return InstalledModel(facts=facts, files={"weights": Path("/nowhere/weights.gguf")}, digest=digest)


def prompt(text: str) -> TextRequest:
    """Return a request that makes the scripted engine do what `text` says."""
    return TextRequest(prompts=(TextPrompt(text),))


async def until(what: Callable[[], object], within_s: float = DEADLINE_S) -> None:
    """Wait until a condition holds; fail after the time limit."""
    deadline = time.monotonic() + within_s
    while not what():
        assert time.monotonic() < deadline, "did not come about in time"
        await asyncio.sleep(0.01)


def n_leases(serving: Serving) -> int:
    """Return the requests that hold or wait for any model."""
    if isinstance(serving, ClusterServing):
        return sum(serving._requests.values())
    assert isinstance(serving, WorkerServing)
    return sum(entry.leases.count for entry in serving._pool.entries)


async def events(serving: Serving, text: str, model: InstalledModel | None = None) -> list[Event]:
    """Run one request to its end; return its events."""
    async with asyncio.timeout(DEADLINE_S):
        stream = await serving.open(model or scripted(), prompt(text))
        try:
            await stream.admitted()
            return [event async for batch in stream for event in batch]
        finally:
            await stream.aclose()


async def answer(serving: Serving, text: str, model: InstalledModel | None = None) -> str:
    """Run one request to its end; return its text."""
    return "".join(event.text for event in await events(serving, text, model) if isinstance(event, TextDelta))


async def build_on_one_machine(options: ServingOptions, engine_options: EngineOptions) -> WorkerServing:
    """Start serving with scripted workers on this machine."""
    serving = WorkerServing(options, {"scripted": ENGINE}, engine_options=lambda _: dict(engine_options))
    await serving.start()
    return serving


def launch_message(options: ServingOptions, engine_options: EngineOptions, model: InstalledModel) -> LaunchMessage:
    """Return how a replica launches the scripted engine."""
    facts = model.facts
    spec = EngineSpec(facts.engine, facts.name, attach(model.files), model.digest, dict(engine_options))
    return LaunchMessage(entry_point(facts.engine, {"scripted": ENGINE}), spec, options.frame_bytes)


def local_cluster(options: ServingOptions, spool: Path, **engine_options: Value) -> LocalCluster:
    """Return a cluster on this machine, without a gateway."""
    return LocalCluster(options, lambda model: launch_message(options, engine_options, model), spool)


@pytest.fixture
async def serve() -> AsyncIterator[Callable[..., object]]:
    """Build and start serving with scripted workers, and stop it with the test.

    Arguments: the options, then the engine options of every model by keyword.
    """
    started: list[WorkerServing] = []

    async def build(options: ServingOptions = QUICK, **engine_options: Value) -> WorkerServing:
        started.append(serving := await build_on_one_machine(options, engine_options))
        return serving

    yield build
    for serving in started:
        async with asyncio.timeout(DEADLINE_S):
            await serving.close()


@pytest.fixture
async def serve_on_cluster(tmp_path: Path) -> AsyncIterator[Callable[..., object]]:
    """The same as `serve`, with a gateway of a cluster: its replicas listen on this machine.

    The gateway waits longer for a load than the replica takes at most, so that it hears of a failed one.
    """
    gateways: list[ClusterServing] = []
    clusters: list[LocalCluster] = []

    async def build(options: ServingOptions = QUICK, **engine_options: Value) -> ClusterServing:
        clusters.append(cluster := local_cluster(options, tmp_path / "spool", **engine_options))
        patient = msgspec.structs.replace(options, load_limit_s=options.load_limit_s + DEADLINE_S)
        gateways.append(serving := ClusterServing(cluster.view(), patient))
        await serving.start()
        return serving

    yield build
    async with asyncio.timeout(DEADLINE_S):
        for serving in gateways:
            await serving.close()
        for cluster in clusters:
            await cluster.close()


@pytest.fixture(params=["serve", "serve_on_cluster"])
def serve_either(request: pytest.FixtureRequest) -> Callable[..., Awaitable[Serving]]:
    """`serve` and `serve_on_cluster` in turn: what a test says holds for both."""
    build: Callable[..., Awaitable[Serving]] = request.getfixturevalue(request.param)
    return build
