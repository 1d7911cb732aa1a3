"""A gateway that is killed or stopped as a process: the others and their callers are not affected."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
import pytest

from homeport.cluster.replicas import ReplicaAddress
from tests.cluster.conftest import NewCluster, NewGateway
from tests.cluster.test_cluster_serving import opened, rest_of
from tests.serving.conftest import answer, until


@contextmanager
def gateway_process(address: ReplicaAddress) -> Iterator[subprocess.Popen[str]]:
    """Run a gateway that has a request on a replica."""
    code = f"import sys; sys.path[:] = {sys.path!r}; import runpy; "
    code += "runpy.run_module('tests.cluster.gateway_process', run_name='__main__')"
    command = [sys.executable, "-c", code, msgspec.json.encode(address).decode(), "wait"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "stopped"])
async def test_gateway_is_lost(how: signal.Signals, new_cluster: NewCluster, new_gateway: NewGateway) -> None:
    """The requests of a lost gateway end on the replica; the stream of another one continues, and new ones start."""
    cluster = await new_cluster(1)
    (host,), (address,) = cluster.hosts.values(), cluster.addresses.values()
    serving = await new_gateway(cluster)
    stream = await opened(serving, "count 3000")
    await anext(aiter(stream))
    with gateway_process(address) as other:
        assert other.stdout is not None
        assert await asyncio.to_thread(other.stdout.readline) == "admitted\n"
        assert host.running == 2
        other.send_signal(how)
        await until(lambda: host.running == 1)
        assert await answer(serving, "count 2") == "1 2 "
        assert (await rest_of(stream)).endswith(" 3000 ")
    await until(lambda: host.running == 0)
    await stream.aclose()
