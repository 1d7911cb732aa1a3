"""Gateways in this process, without HTTP, and with the router that a server uses."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from bench.cluster.model import OPTIONS, installed
from homeport.cluster.cluster_serving import ClusterServing
from homeport.cluster.replicas import Replicas
from homeport.domain.models import InstalledModel
from homeport.serving.options import ServingOptions

_POLL_S = 0.01


@asynccontextmanager
async def gateway(
    replicas: Replicas, count: int, options: ServingOptions = OPTIONS, model: InstalledModel | None = None
) -> AsyncIterator[ClusterServing]:
    """Run a gateway that is connected to `count` replicas of the model."""
    serving = ClusterServing(replicas, options)
    await serving.start()
    try:
        await until(lambda: ready(serving, (model or installed()).facts.name) >= count)
        yield serving
    finally:
        await serving.close()


def ready(serving: ClusterServing, model: str) -> int:
    """Return how many replicas of a model take this gateway's requests."""
    states = [report.state for report in serving.worker_status() if report.model == model]
    return states.count("ready")


async def until(condition: Callable[[], bool], within_s: float = 120.0) -> float:
    """Wait until a condition holds; return the seconds that it took. Raises TimeoutError."""
    began = time.perf_counter()
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110 - a condition has no event
            await asyncio.sleep(_POLL_S)
    return time.perf_counter() - began
