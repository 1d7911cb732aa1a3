"""Two replicas and any number of gateways, in this process."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from homeport.cluster.cluster_serving import ClusterServing
from homeport.cluster.replica_connection import ReplicaConnection
from homeport.cluster.replica_host import ReplicaHost
from homeport.cluster.replica_session import ReplicaSession
from homeport.serving.options import ServingOptions
from tests.cluster.local_replicas import LocalCluster
from tests.serving.conftest import DEADLINE_S, QUICK, Value, local_cluster, scripted, until

NewGateway = Callable[..., Awaitable[ClusterServing]]
NewCluster = Callable[..., Awaitable[LocalCluster]]


@pytest.fixture
async def new_cluster(tmp_path: Path) -> AsyncIterator[NewCluster]:
    """Start a cluster with some replicas of the scripted model, all loaded.

    Arguments: their number, the options, then the engine options by keyword.
    """
    started: list[LocalCluster] = []

    async def build(n_replicas: int = 2, options: ServingOptions = QUICK, **engine_options: Value) -> LocalCluster:
        started.append(cluster := local_cluster(options, tmp_path / "spool", **engine_options))
        for host in [await cluster.add(scripted()) for _ in range(n_replicas)]:
            await host.ready()
        return cluster

    yield build
    async with asyncio.timeout(DEADLINE_S):
        for cluster in started:
            await cluster.close()


@pytest.fixture
async def new_gateway(new_cluster: NewCluster) -> AsyncIterator[NewGateway]:
    """Start a gateway of a cluster, and wait until every replica takes its requests (if `is_connected`)."""
    started: list[ClusterServing] = []

    async def build(
        cluster: LocalCluster, options: ServingOptions = QUICK, *, is_connected: bool = True
    ) -> ClusterServing:
        started.append(serving := ClusterServing(cluster.view(), options))
        await serving.start()
        await until(lambda: not is_connected or accepting(serving) == len(cluster.hosts))
        return serving

    yield build
    async with asyncio.timeout(DEADLINE_S):
        for serving in started:
            await serving.close()


def accepting(serving: ClusterServing) -> int:
    """Return how many replicas take requests of a gateway."""
    return serving._links.accepting("m")


def connection(serving: ClusterServing, replica: str) -> ReplicaConnection:
    """Return a gateway's connection to a replica."""
    return serving._links._connections[replica]


def session(serving: ClusterServing, replica: str) -> ReplicaSession:
    """Return a gateway's link to a replica."""
    found = connection(serving, replica).session
    assert found is not None
    return found


def pid(host: ReplicaHost) -> int:
    """Return the process id of a replica's worker."""
    found = host.report.pid
    assert found is not None
    return found
