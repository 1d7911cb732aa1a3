"""Replicas on a real cluster: placed, scaled, replaced, and found by gateways."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from homeport.cluster.model_description import ModelDescription
from homeport.domain.errors import Conflict, Unavailable
from homeport.domain.models import InstalledModel
from homeport.domain.ports.serving import RequestStream
from tests.cluster.ray.conftest import Gateway
from tests.serving.conftest import answer, until

if TYPE_CHECKING:
    from tests.cluster.ray.local_cluster import LocalCluster

pytestmark = pytest.mark.alone

LIMIT_S = 60.0


def has_nodes(gateway: Gateway, model: InstalledModel, n: int) -> bool:
    """Whether a model has replicas on this many nodes."""
    return len(gateway.nodes(model)) == n


async def test_request_waits_for_the_first_replica(gateway: Gateway, model: InstalledModel) -> None:
    """A request for a model without a replica waits until one is placed, has the files, and answers."""
    assert await answer(gateway.serving, "count 3", model) == "1 2 3 "
    assert len(gateway.nodes(model)) == 1


async def test_replicas_follow_demand(gateway: Gateway, model: InstalledModel) -> None:
    """More requests than a replica's slots add replicas on other nodes, one by one; without requests they go."""
    await gateway.scale(model, 0, 3)
    streams = [await gateway.open(model, "wait")]
    assert len(gateway.nodes(model)) == 1
    for n_requests, n_nodes in ((4, 2), (7, 3)):
        while len(streams) < n_requests:
            streams.append(await gateway.open(model, "wait"))
        await until(partial(has_nodes, gateway, model, n_nodes), LIMIT_S)
    for stream in streams:
        await stream.aclose()
    await until(lambda: not gateway.nodes(model), LIMIT_S)


async def test_zero_replicas_and_back(gateway: Gateway, model: InstalledModel) -> None:
    """A model that nobody uses has no replica after a while; a request for it waits for a new one."""
    assert await answer(gateway.serving, "count 1", model) == "1 "
    await until(lambda: not gateway.nodes(model), LIMIT_S)
    assert await answer(gateway.serving, "count 2", model) == "1 2 "


async def test_killed_replica_is_replaced(gateway: Gateway, model: InstalledModel) -> None:
    """When a replica's process is killed, its stream fails, other replicas answer at once, and a new one is placed."""
    await gateway.scale(model, 2, 2)
    await until(lambda: gateway.n_ready(model) == 2, LIMIT_S)
    streams = [await gateway.open(model, "count 1000000") for _ in range(2)]  # one on each
    for stream in streams:
        await anext(aiter(stream))  # what has begun to answer is not sent again
    gateway.replica_process(model).kill()
    outcomes = await asyncio.gather(*(_read(stream, 2_000) for stream in streams), return_exceptions=True)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["EngineFailed", "int"]
    assert await answer(gateway.serving, "count 2", model) == "1 2 "
    await until(lambda: len(gateway.nodes(model)) == 2, LIMIT_S)
    await gateway.scale(model, 0, 1)


async def test_running_replicas_are_counted(gateway: Gateway, model: InstalledModel) -> None:
    """Ray says how many replicas of a model would finish their requests if they were replaced now."""
    from homeport.cluster.ray.applications import count_running

    assert count_running(model.facts.name) == 0
    await gateway.scale(model, 2, 2)
    await until(lambda: count_running(model.facts.name) == 2, LIMIT_S)
    await gateway.scale(model, 0, 1)


async def _read(stream: RequestStream, n_events: int) -> int:
    """Read some events, then close the stream; return how many."""
    n_read = 0
    try:
        async for batch in stream:
            n_read += len(batch)
            if n_read >= n_events:
                break
    finally:
        await stream.aclose()
    return n_read


async def test_two_gateways_share_a_replica(
    new_gateway: Callable[[], Awaitable[Gateway]], model: InstalledModel
) -> None:
    """Two gateways use the same replica; when one ends, the other's streams continue."""
    first, second = await new_gateway(), await new_gateway()
    assert await answer(first.serving, "count 2", model) == "1 2 "
    stream = await second.open(model, "count 3000")
    assert first.nodes(model) == second.nodes(model)
    await first.serving.close()
    await first.replicas.close()
    n_events = sum([len(batch) async for batch in stream])
    assert n_events == 3002
    await stream.aclose()


async def test_second_gateway_needs_a_shared_database(gateway: Gateway, cluster: "LocalCluster") -> None:
    """A gateway with a database of its own is refused by name while another one serves the cluster."""
    from homeport.cluster.ray.ray_replicas import RayReplicas

    def refuse(_: InstalledModel) -> tuple[ModelDescription, dict[str, str]]:
        raise AssertionError("a gateway that is refused describes nothing")

    replicas = RayReplicas(cluster.address, cluster.token_file, None, refuse, is_database_shared=False)
    with pytest.raises(Conflict, match="PostgreSQL"):
        await replicas.start()


async def test_files_reach_an_empty_node(gateway: Gateway, cluster: "LocalCluster", tmp_path: Path) -> None:
    """A node without a model's file gets it in ranges from the gateway's node, and keeps it under its hash."""
    from tests.cluster.ray.scripted_node import WEIGHTS, make_model

    content = bytes(range(256)) * 70_000
    model = make_model(tmp_path / "big", "big", content)
    await gateway.scale(model, 3, 3)
    await until(lambda: len(gateway.nodes(model)) == 3, LIMIT_S)
    for node in cluster.nodes:
        folder = node.plan.home / "scripted" / model.digest
        assert [path.name for path in folder.iterdir()] == [WEIGHTS]
        assert (folder / WEIGHTS).read_bytes() == content
    await gateway.scale(model, 0, 1)


async def test_model_that_does_not_load(gateway: Gateway, tmp_path: Path) -> None:
    """A request for a model that loads on no node gets the reason."""
    from tests.cluster.ray.scripted_node import make_model

    with pytest.raises(Unavailable, match="broken"):
        await answer(gateway.serving, "count 1", make_model(tmp_path / "broken", "broken"))


async def test_model_that_fits_no_node(gateway: Gateway, model: InstalledModel) -> None:
    """A request for a model that is larger than every node is refused with what it needs."""
    large = msgspec.structs.replace(model, facts=msgspec.structs.replace(model.facts, size_bytes=9_000_000_000))
    with pytest.raises(Unavailable, match=r"9\.0 GB of memory"):
        await answer(gateway.serving, "count 1", large)
