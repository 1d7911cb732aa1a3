"""The network between a gateway and a node is lost: nobody is told, and requests are answered elsewhere.

Counted as skipped where there can be no second network.
"""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from homeport.domain.errors import EngineFailed
from tests.cluster import network
from tests.cluster.conftest import NewCluster, NewGateway, accepting, connection
from tests.cluster.test_cluster_serving import opened, rest_of
from tests.cluster.test_host_process import host_process
from tests.serving.conftest import QUICK, answer, scripted, until

pytestmark = pytest.mark.skipif(bool(network.MISSING), reason=network.MISSING)


@pytest.fixture
def other_network() -> Iterator[network.OtherNetwork]:
    """Yield a second network."""
    with network.other_network() as found:
        yield found


async def test_gateway_and_node_are_separated(
    other_network: network.OtherNetwork, new_cluster: NewCluster, new_gateway: NewGateway, tmp_path: Path
) -> None:
    """Requests of a node out of reach are sent elsewhere within the heartbeat limit, and come back with the network.

    One that has an event ends with an error; the node cancels its own within the limit too.
    """
    cluster = await new_cluster(0)
    with host_process(tmp_path / "far", other_network.host, other_network.prefix) as far:
        cluster.addresses["far"] = far.address
        serving = await new_gateway(cluster, is_connected=False)
        await until(lambda: accepting(serving) == 1)
        begun, silent = await opened(serving, "count 1000000"), await opened(serving, f"wait-once {tmp_path / 'seen'}")
        await anext(aiter(begun))
        await (await cluster.add(scripted())).ready()
        await until(lambda: accepting(serving) == 2)
        other_network.cut()
        cut_at = time.monotonic()
        await until(lambda: accepting(serving) == 1)
        assert await answer(serving, "count 2") == "1 2 "
        with pytest.raises(EngineFailed, match="lost"):
            await rest_of(begun)
        assert await rest_of(silent) == "1 "
        assert time.monotonic() - cut_at < 5 * QUICK.heartbeat_limit_s
        assert connection(serving, "far").report.state == "unreachable"
        other_network.restore()
        await until(lambda: accepting(serving) == 2)
        await until(lambda: serving.stats()["m"].running == 0)
        for stream in (begun, silent):
            await stream.aclose()
        del cluster.addresses["far"]
