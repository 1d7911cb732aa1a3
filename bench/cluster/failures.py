"""The failures that need nothing but replicas and gateways: of a worker, of a gateway, and of the network."""

import asyncio
import os
import signal
import sys

import msgspec

from bench import processes
from bench.cluster import conversations, hosts, model
from bench.cluster.gateways import gateway, ready, until
from bench.cluster.hosts import Replica
from bench.cluster.model import EngineOptions
from bench.cluster.observation import Failure, observe
from bench.cluster.traffic import Traffic
from bench.plan import Plan
from homeport.cluster.cluster_serving import ClusterServing
from tests.cluster import network

REPLICAS, CLIENTS = 3, 60
ENGINE = EngineOptions(slots=16, step_s=0.04)
_WARM_S, _AFTER_S = 3.0, 3.0


async def measure(plan: Plan) -> list[Failure]:
    """Let each failure happen."""
    with hosts.replicas(REPLICAS, ENGINE) as running:
        found = [await _lose_worker(plan, running), await _lose_gateway(plan, running)]
    if network.MISSING:
        plan.say(f"left out: the partition ({network.MISSING})")
    else:
        found.append(await _partition(plan))
    return found


async def traffic_of(serving: ClusterServing) -> Traffic:
    """Start clients, and wait until they are in different turns."""
    traffic = Traffic(serving, model.installed(), conversations.client())
    traffic.start(CLIENTS)
    await asyncio.sleep(_WARM_S)
    return traffic


async def _lose_worker(plan: Plan, running: list[Replica]) -> Failure:
    plan.say("failure: a worker is killed")
    async with gateway(hosts.StaticReplicas([each.address for each in running]), len(running)) as serving:
        traffic = await traffic_of(serving)

        lost = serving.worker_status()[0]
        if lost.pid is None:
            raise RuntimeError(f"{lost.replica} has no worker")

        def has_new_worker() -> bool:
            now = serving.worker_status()[0]
            return now.pid != lost.pid and now.state == "ready"

        async def happen() -> float:
            os.kill(lost.pid or 0, signal.SIGKILL)
            capacity_s = await until(has_new_worker)
            await asyncio.sleep(_AFTER_S)
            return capacity_s

        return await observe(
            "a worker is killed", serving, traffic, happen, "1 of 3; its host starts it again, with nothing to load"
        )


async def _lose_gateway(plan: Plan, running: list[Replica]) -> Failure:
    plan.say("failure: a gateway is killed")
    addresses = [each.address for each in running]
    program = [sys.executable, "-m", "bench.cluster.gateway_program", msgspec.json.encode(addresses).decode()]
    async with gateway(hosts.StaticReplicas(addresses), len(running)) as serving:
        with processes.running([*program, str(CLIENTS)], pipes=True) as other:
            if other.process.stdout is None or not await asyncio.to_thread(other.process.stdout.readline):
                raise RuntimeError(other.last_output())
            traffic = await traffic_of(serving)
            await until(lambda: serving.stats()[model.NAME].running > CLIENTS)

            async def happen() -> float:
                other.kill()
                capacity_s = await until(lambda: serving.stats()[model.NAME].running <= CLIENTS)
                await asyncio.sleep(_AFTER_S)
                return capacity_s

            note = "1 of 2; the requests are those of the other one, the time until the replicas have no others"
            return await observe("a gateway is killed", serving, traffic, happen, note)


async def _partition(plan: Plan) -> Failure:
    plan.say("failure: the network between gateway and node is cut")
    with (
        network.other_network() as other,
        hosts.replicas(1, ENGINE) as here,
        hosts.replicas(1, ENGINE, other.host, other.prefix) as there,
    ):
        far = msgspec.structs.replace(there[0].address, replica="far")
        async with gateway(hosts.StaticReplicas([here[0].address, far]), 2) as serving:
            traffic = await traffic_of(serving)

            async def happen() -> float:
                other.cut()
                elsewhere_s = await until(lambda: ready(serving, model.NAME) == 1)
                await asyncio.sleep(model.OPTIONS.heartbeat_limit_s + _AFTER_S - elsewhere_s)
                other.restore()
                capacity_s = await until(lambda: ready(serving, model.NAME) == 2)
                await asyncio.sleep(_AFTER_S)
                return capacity_s

            cut_s = model.OPTIONS.heartbeat_limit_s + _AFTER_S
            note = f"1 of 2, for {cut_s:.0f} s; the time from when the network is back"
            return await observe("gateway and node are separated", serving, traffic, happen, note)
