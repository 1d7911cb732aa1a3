"""One cluster for all tests, and gateways on it. Without Ray these tests are not collected."""

import asyncio
import importlib.util
import secrets
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from homeport.cluster.cluster_serving import ClusterServing
from homeport.domain.child_environment import set_variables
from homeport.domain.clusters import ScalingLimits
from homeport.domain.models import InstalledModel
from homeport.domain.ports.serving import RequestStream
from homeport.serving.options import ServingOptions
from tests.serving.conftest import prompt, until

if TYPE_CHECKING:
    from homeport.cluster.ray.ray_replicas import RayReplicas
    from tests.cluster.ray.local_cluster import LocalCluster

collect_ignore_glob = [] if importlib.util.find_spec("ray") else ["test_*.py"]

OPTIONS = ServingOptions(slots=4, heartbeat_s=0.2, heartbeat_limit_s=3.0, load_limit_s=90.0)

WHOLE_LIMIT_S = 120.0
"""Ray notices a lost node within 24 s; replicas of earlier tests end within seconds."""


class Gateway:
    """A gateway in this process: serving, and the replicas it knows."""

    def __init__(self, replicas: "RayReplicas", options: ServingOptions = OPTIONS) -> None:
        self.replicas = replicas
        self.serving = ClusterServing(replicas, options)

    async def scale(self, model: InstalledModel, min_replicas: int, max_replicas: int) -> None:
        """Set a model's limits, as `homeport scale` does on this machine."""
        limits = ScalingLimits(min_replicas=min_replicas, max_replicas=max_replicas)
        described = self.replicas._describe(model)
        name = model.facts.name
        assert await self.replicas._call("scale", name, limits, described, self.replicas._node_id)

    async def open(self, model: InstalledModel, text: str) -> RequestStream:
        """Open a request that a replica has admitted."""
        stream = await self.serving.open(model, prompt(text))
        await stream.admitted()
        return stream

    def replica_process(self, model: InstalledModel) -> psutil.Process:
        """Return the process of one replica: the parent of its worker."""
        pids = [each.pid for each in self.serving.worker_status() if each.model == model.facts.name and each.pid]
        parent = psutil.Process(pids[0]).parent()
        assert parent is not None
        return parent

    def n_ready(self, model: InstalledModel) -> int:
        """Return how many replicas of a model take requests of this gateway."""
        return self.serving._links.accepting(model.facts.name)

    def nodes(self, model: InstalledModel) -> set[str]:
        """Return the nodes on which a model has replicas that take requests."""
        known = self.replicas.known()
        return {each.node for each in known if each.model == model.facts.name and not each.is_draining}


@pytest.fixture(scope="module", autouse=True)
def no_process_is_left() -> None:
    """The nodes run until the session ends; `cluster` checks that they leave nothing."""


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator["LocalCluster"]:
    """A cluster of three nodes, to which this process is connected through the second one."""
    from homeport.cluster.ray.environment import ray_variables
    from tests.cluster.ray.local_cluster import LocalCluster

    local = LocalCluster(tmp_path_factory.mktemp("cluster"))
    try:
        local.start()
        set_variables(ray_variables(local.token_file))
        with warnings.catch_warnings():  # Ray's modules use what other libraries have deprecated
            warnings.simplefilter("ignore")
            importlib.import_module("homeport.cluster.ray.controller")
        from homeport.cluster.ray import connection

        connection.connect(local.address, local.token_file, local.nodes[1].plan.host)
        yield local
        connection.disconnect()
    finally:
        local.stop()


@pytest.fixture
async def whole_cluster(cluster: "LocalCluster") -> "LocalCluster":
    """The cluster with all its nodes and without replicas, whatever an earlier test did to it."""
    await asyncio.to_thread(cluster.add_missing_nodes)
    await until(cluster.is_whole, WHOLE_LIMIT_S)
    return cluster


@pytest.fixture
async def new_gateway(whole_cluster: "LocalCluster") -> AsyncIterator[Callable[[], Awaitable[Gateway]]]:
    """Start gateways, and stop them with the test."""
    from homeport.cluster.ray.ray_replicas import RayReplicas
    from tests.cluster.ray.scripted_node import describe

    started: list[Gateway] = []

    async def start() -> Gateway:
        replicas = RayReplicas(whole_cluster.address, whole_cluster.token_file, None, describe, is_database_shared=True)
        gateway = Gateway(replicas)
        await replicas.start()
        started.append(gateway)
        await gateway.serving.start()
        return gateway

    yield start
    for gateway in started:
        async with asyncio.timeout(20):
            await gateway.serving.close()
            await gateway.replicas.close()


@pytest.fixture
async def gateway(new_gateway: Callable[[], Awaitable[Gateway]]) -> Gateway:
    """One gateway."""
    return await new_gateway()


@pytest.fixture
def model(tmp_path: Path) -> InstalledModel:
    """A scripted model that no other test has, in a folder of this machine that is no node's home."""
    from tests.cluster.ray.scripted_node import make_model

    return make_model(tmp_path / "model", f"m-{secrets.token_hex(3)}")
