"""Serving with scripted workers, and helpers that its tests share."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from homeport.domain.events import Event, TextDelta
from homeport.domain.models import InstalledModel, ModelFacts
from homeport.domain.text import TextPrompt, TextRequest
from homeport.serving.options import ServingOptions
from homeport.serving.worker_serving import WorkerServing

DEADLINE_S = 20.0

Value = str | int | float | bool | None
Serve = Callable[..., WorkerServing]

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


def n_leases(serving: WorkerServing) -> int:
    """Return the leases of all models."""
    return sum(entry.leases.count for entry in serving._pool.entries)


async def events(serving: WorkerServing, text: str, model: InstalledModel | None = None) -> list[Event]:
    """Run one request to its end; return its events."""
    async with asyncio.timeout(DEADLINE_S):
        stream = await serving.open(model or scripted(), prompt(text))
        try:
            await stream.admitted()
            return [event async for batch in stream for event in batch]
        finally:
            await stream.aclose()


async def answer(serving: WorkerServing, text: str, model: InstalledModel | None = None) -> str:
    """Run one request to its end; return its text."""
    return "".join(event.text for event in await events(serving, text, model) if isinstance(event, TextDelta))


@pytest.fixture
async def serve() -> AsyncIterator[Callable[..., object]]:
    """Build and start serving with scripted workers, and stop it with the test.

    Arguments: the options, then the engine options of every model by keyword.
    """
    started: list[WorkerServing] = []

    async def build(options: ServingOptions = QUICK, **engine_options: Value) -> WorkerServing:
        serving = WorkerServing(
            options, {"scripted": "tests.serving.scripted_engine:load"}, engine_options=lambda _: dict(engine_options)
        )
        await serving.start()
        started.append(serving)
        return serving

    yield build
    for serving in started:
        async with asyncio.timeout(DEADLINE_S):
            await serving.close()
