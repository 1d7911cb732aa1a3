"""Outages under load: files replaced, a node that hangs, the head killed. The next test gets a whole cluster again."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from homeport.domain.models import InstalledModel
from tests.cluster.ray.conftest import Gateway
from tests.cluster.ray.test_gateways import LIMIT_S
from tests.serving.conftest import answer, until

if TYPE_CHECKING:
    from tests.cluster.ray.local_cluster import LocalCluster

pytestmark = [pytest.mark.alone, pytest.mark.soak]

CLIENTS = 4


class Load:
    """Clients that ask one question after the other. `model` may be replaced.

    Each answer is one batch of events: whatever is lost before it can be sent again.
    """

    def __init__(self, gateway: Gateway, model: InstalledModel) -> None:
        self.model = model
        self.n_answered = 0
        self.is_stopped = False
        self._gateway = gateway

    async def run(self) -> None:
        """Ask until stopped. Raises the error of a request that fails."""
        while not self.is_stopped:
            async with asyncio.timeout(LIMIT_S):
                stream = await self._gateway.open(self.model, "count 1")
                try:
                    assert sum([len(batch) async for batch in stream]) == 3
                finally:
                    await stream.aclose()
            self.n_answered += 1


@asynccontextmanager
async def load(gateway: Gateway, model: InstalledModel) -> AsyncIterator[Load]:
    """Run clients meanwhile; none of their requests may fail."""
    clients = Load(gateway, model)
    async with asyncio.TaskGroup() as group:
        for _ in range(CLIENTS):
            group.create_task(clients.run())
        try:
            yield clients
        finally:
            clients.is_stopped = True


async def test_files_are_replaced_under_load(gateway: Gateway, model: InstalledModel, tmp_path: Path) -> None:
    """When a model's files are replaced, its replicas are too; no request fails, and one that runs is finished."""
    from tests.cluster.ray.scripted_node import make_model

    await gateway.scale(model, 2, 2)
    await until(lambda: gateway.n_ready(model) == 2, LIMIT_S)
    new = make_model(tmp_path / "new", model.facts.name, b"new files")
    stream = await gateway.open(model, "count 3000")
    async with load(gateway, model) as clients:
        await until(lambda: clients.n_answered)
        clients.model = new
        await until(lambda: digests(gateway, new) == {new.digest}, LIMIT_S)
        n_answered = clients.n_answered
        await until(lambda: clients.n_answered > n_answered + CLIENTS)
        assert sum([len(batch) async for batch in stream]) == 3002
        await stream.aclose()
    await until(lambda: gateway.n_ready(new) == 2, LIMIT_S)
    await gateway.scale(new, 0, 1)


async def test_node_hangs(whole_cluster: "LocalCluster", gateway: Gateway, model: InstalledModel) -> None:
    """When all processes of a node hang, requests are answered at others, and its replica is placed elsewhere."""
    await asyncio.to_thread(whole_cluster.add_node)  # has room for a replica
    await gateway.scale(model, 3, 3)
    await until(lambda: gateway.n_ready(model) == 3, LIMIT_S)
    hung = next(node for node in whole_cluster.nodes[2:] if node.plan.host in gateway.nodes(model))
    async with load(gateway, model) as clients:
        whole_cluster.signal_node(hung, signal.SIGSTOP)
        await until(lambda: gateway.n_ready(model) == 2)
        n_answered = clients.n_answered
        await until(lambda: clients.n_answered > n_answered + CLIENTS)
        await until(lambda: len(gateway.nodes(model) - {hung.plan.host}) == 3, LIMIT_S)
    whole_cluster.end_node(hung)
    await gateway.scale(model, 0, 1)


async def test_head_is_killed(whole_cluster: "LocalCluster", gateway: Gateway, model: InstalledModel) -> None:
    """Without the head, other nodes' replicas answer; when it is back, models are placed and gateways connect again."""
    await gateway.scale(model, 3, 3)
    await until(lambda: gateway.n_ready(model) == 3, LIMIT_S)
    lost = {each.replica for each in gateway.replicas.known()}
    async with load(gateway, model) as clients:
        await until(lambda: clients.n_answered)
        await asyncio.to_thread(whole_cluster.kill_head)
        await until(lambda: gateway.n_ready(model) == 2)
        n_answered = clients.n_answered
        await until(lambda: clients.n_answered > n_answered + 10 * CLIENTS)
    await asyncio.to_thread(whole_cluster.start_head_again)
    await until(lambda: not lost & {each.replica for each in gateway.replicas.known()}, LIMIT_S)
    await until(lambda: gateway.n_ready(model) == 3, LIMIT_S)
    assert await answer(gateway.serving, "count 1", model) == "1 "
    assert gateway.replicas.can_place()
    await gateway.scale(model, 0, 1)


def digests(gateway: Gateway, model: InstalledModel) -> set[str]:
    """Return the digests of a model's replicas that take requests."""
    known = gateway.replicas.known()
    return {each.digest for each in known if each.model == model.facts.name and not each.is_draining}
