"""The failures that Ray has to repair, on three nodes on this machine, each with at most one replica of the model.

The processes of the nodes are killed or stopped as a machine is; the gateway is connected through a node that is not.
"""

import asyncio
import importlib
import importlib.util
import signal
import tempfile
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from bench.cluster import conversations
from bench.cluster.failures import CLIENTS
from bench.cluster.gateways import ready, until
from bench.cluster.model import OPTIONS
from bench.cluster.observation import Failure, observe
from bench.cluster.traffic import Traffic
from bench.plan import Plan
from homeport.domain.child_environment import set_variables
from homeport.domain.models import InstalledModel
from tests.cluster.ray.conftest import Gateway

if TYPE_CHECKING:
    from homeport.cluster.ray.nodes import ClusterNode
    from tests.cluster.ray.local_cluster import LocalCluster

MISSING = "" if importlib.util.find_spec("ray") else "Ray is not installed"
"""Why these are left out; empty if they are not."""
_WARM_S, _AFTER_S, _HEAD_S, _LIMIT_S = 3.0, 3.0, 20.0, 180.0
_NODES, _SHARED = 3, 1
"""How many nodes and replicas there are, and the number of the node through which the gateway is connected."""


async def measure(plan: Plan) -> list[Failure]:
    """Start a cluster, and let each failure happen on it."""
    if MISSING:
        plan.say(f"left out: failures that need a cluster ({MISSING})")
        return []
    plan.say("three nodes start")
    with tempfile.TemporaryDirectory(prefix="hp") as folder, _cluster(Path(folder)) as cluster:
        async with _gateway(cluster) as gateway:
            from tests.cluster.ray.scripted_node import make_model

            bench = _Bench(plan, cluster, gateway, make_model(Path(folder) / "model", "sleeping"))
            return await bench.measure(Path(folder))


class _Bench:
    """The cluster, a gateway, and the model that its clients ask for."""

    def __init__(self, plan: Plan, cluster: "LocalCluster", gateway: Gateway, model: InstalledModel) -> None:
        self._plan = plan
        self._cluster = cluster
        self._gateway = gateway
        self._model = model
        self._found: list[Failure] = []

    async def measure(self, folder: Path) -> list[Failure]:
        """Let each failure happen; what was measured before one that cannot be measured is returned."""
        steps: list[Callable[[], Awaitable[None]]] = [
            lambda: self._update(folder / "update"),
            self._lose_host,
            self._lose_node,
            self._hang_node,
            self._lose_head,
        ]
        for step in steps:
            try:
                await step()
            except TimeoutError:
                self._plan.say("not repaired in time: the failures after it are left out")
                break
        return self._found

    async def _lose_host(self) -> None:
        await self._scale(_NODES)
        lost = self._gateway.replica_process(self._model)

        async def happen() -> float:
            known = self._names()
            lost.kill()
            return await until(lambda: len(self._names() & known) == _NODES - 1 and self._n_ready() == _NODES, _LIMIT_S)

        await self._observe("a replica's host is killed", happen, "1 of 3; Ray places another one")

    async def _lose_node(self) -> None:
        node = await self._node_with_replica()

        async def happen() -> float:
            self._cluster.end_node(node)
            return await until(lambda: self._is_elsewhere(node), _LIMIT_S)

        await self._observe("a node is killed", happen, "1 of 3 with a replica; a fourth has room")

    async def _hang_node(self) -> None:
        node = await self._node_with_replica()

        async def happen() -> float:
            self._cluster.signal_node(node, signal.SIGSTOP)
            return await until(lambda: self._is_elsewhere(node), _LIMIT_S)

        await self._observe("a node hangs (SIGSTOP)", happen, "1 of 3 with a replica; a fourth has room")
        self._cluster.end_node(node)

    async def _lose_head(self) -> None:
        await self._scale(_NODES)
        head = self._cluster.nodes[0]
        remaining = len(self._gateway.nodes(self._model) - {head.plan.host})

        async def happen() -> None:
            self._cluster.end_node(head)
            await asyncio.sleep(_HEAD_S)

        note = f"{remaining} of 3 replicas go on; observed for {_HEAD_S:.0f} s without a head"
        await self._observe("the head is killed", happen, note)

    async def _update(self, folder: Path) -> None:
        from tests.cluster.ray.scripted_node import make_model

        await self._scale(_NODES)
        new = make_model(folder, self._model.facts.name, b"new files")

        async def happen() -> float:
            self._traffic.model = new
            return await until(lambda: self._digests() == [new.digest] * _NODES and self._n_ready() == _NODES, _LIMIT_S)

        await self._observe("the model's files are replaced", happen, "3 replicas; all new requests need the new files")
        self._model = new

    async def _observe(self, name: str, happen: Callable[[], Awaitable[float | None]], note: str) -> None:
        self._plan.say(f"failure: {name}")
        self._traffic = Traffic(self._gateway.serving, self._model, conversations.client())
        self._traffic.start(CLIENTS)
        await asyncio.sleep(_WARM_S)

        async def and_after() -> float | None:
            capacity_s = await happen()
            await asyncio.sleep(_AFTER_S)
            return capacity_s

        self._found.append(await observe(name, self._gateway.serving, self._traffic, and_after, note))

    async def _scale(self, count: int) -> None:
        await self._gateway.scale(self._model, count, count)
        await until(lambda: len(self._digests()) == count and self._n_ready() == count, _LIMIT_S)

    async def _node_with_replica(self) -> "ClusterNode":
        """Have four nodes and three replicas, so that a node has room; return a node with one that may be lost."""
        while len(self._cluster.nodes) < _NODES + 1:
            await asyncio.to_thread(self._cluster.add_node)
        await self._scale(_NODES)
        may_end = [node for number, node in enumerate(self._cluster.nodes) if number > _SHARED]
        used = self._gateway.nodes(self._model)
        return next(node for node in may_end if node.plan.host in used)

    def _is_elsewhere(self, lost: "ClusterNode") -> bool:
        nodes = self._gateway.nodes(self._model) - {lost.plan.host}
        return len(nodes) == _NODES and self._n_ready() == _NODES

    def _n_ready(self) -> int:
        return ready(self._gateway.serving, self._model.facts.name)

    def _names(self) -> set[str]:
        return {each.replica for each in self._gateway.replicas.known()}

    def _digests(self) -> list[str]:
        return [each.digest for each in self._gateway.replicas.known() if not each.is_draining]


@contextmanager
def _cluster(folder: Path) -> Iterator["LocalCluster"]:
    """Run three nodes, and connect this process."""
    from bench.cluster import ray_models
    from homeport.cluster.ray.environment import ray_variables
    from tests.cluster.ray.local_cluster import LocalCluster

    local = LocalCluster(folder, ray_models.NAME)
    try:
        local.start()
        set_variables(ray_variables(local.token_file))
        with warnings.catch_warnings():  # Ray's modules use what other libraries have deprecated
            warnings.simplefilter("ignore")
            connection = importlib.import_module("homeport.cluster.ray.connection")
        connection.connect(local.address, local.token_file, local.nodes[_SHARED].plan.host)
        yield local
        connection.disconnect()
    finally:
        local.stop()


@asynccontextmanager
async def _gateway(cluster: "LocalCluster") -> AsyncIterator[Gateway]:
    from homeport.cluster.ray.ray_replicas import RayReplicas
    from tests.cluster.ray.scripted_node import describe

    replicas = RayReplicas(cluster.address, cluster.token_file, None, describe, is_database_shared=True)
    gateway = Gateway(replicas, msgspec.structs.replace(OPTIONS, load_limit_s=_LIMIT_S))
    await replicas.start()
    try:
        await gateway.serving.start()
        yield gateway
    finally:
        await gateway.serving.close()
        await replicas.close()
