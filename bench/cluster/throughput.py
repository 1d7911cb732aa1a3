"""Whether replicas add up: the throughput of one, two and three with an engine that sleeps, through the real router."""

import asyncio
import time

from bench.cluster import conversations, hosts, model
from bench.cluster.gateways import gateway
from bench.cluster.model import EngineOptions
from bench.cluster.traffic import Traffic
from bench.plan import Plan
from bench.row import Row

REPLICAS = (1, 2, 3)
CLIENTS = 96
_ENGINE = EngineOptions(slots=16, step_s=0.04)
_SHARE = 0.9
_WARM_S = 2.0


async def rows(plan: Plan) -> list[Row]:
    """Measure one, two and three replicas with the same clients."""
    speeds: dict[int, float] = {}
    with hosts.replicas(max(REPLICAS), _ENGINE) as running:
        for count in REPLICAS:
            plan.say(f"throughput: {count} of {max(REPLICAS)} replicas")
            async with gateway(hosts.StaticReplicas([each.address for each in running[:count]]), count) as serving:
                traffic = Traffic(serving, model.installed(), conversations.client(name=f"{count}-"))
                traffic.start(CLIENTS)
                await asyncio.sleep(_WARM_S)
                speeds[count] = await _speed(traffic, 3.0 if plan.quick else 12.0)
    note = f"{CLIENTS} clients, {_ENGINE.slots} slots, steps of {_ENGINE.step_s * 1e3:.0f} ms"
    return [
        Row(f"cluster: throughput of {count} replicas", "1 replica", "tok/s", speeds[count], speeds[1], _SHARE * count,
            note=note)
        for count in REPLICAS[1:]
    ]  # fmt: skip


async def _speed(traffic: Traffic, seconds: float) -> float:
    """Return the tokens per second that the clients read meanwhile."""
    began, events = time.perf_counter(), traffic.events
    await asyncio.sleep(seconds)
    speed = (traffic.events - events) / (time.perf_counter() - began)
    failed = [each.error for each in await traffic.stop() if each.error]
    if failed:
        raise RuntimeError(f"{len(failed)} requests failed: {failed[0]}")
    return speed * conversations.TOKENS / (conversations.TOKENS + 2)  # the last two events are no tokens
