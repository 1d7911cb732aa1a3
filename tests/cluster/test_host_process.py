"""A replica whose host is killed or stopped as a process: its requests are answered elsewhere."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest

from homeport.cluster.replicas import ReplicaAddress
from tests.cluster.conftest import NewCluster, NewGateway, accepting
from tests.cluster.test_cluster_serving import opened, rest_of
from tests.serving.conftest import answer, scripted, until


class HostProcess(NamedTuple):
    """A running host, where it listens, and its worker."""

    process: subprocess.Popen[str]
    address: ReplicaAddress
    worker: psutil.Process


@contextmanager
def host_process(folder: Path, host: str = "127.0.0.1", prefix: Sequence[str] = ()) -> Iterator[HostProcess]:
    """Run a replica in a process of its own. `prefix`: the beginning of its command."""
    code = f"import sys; sys.path[:] = {sys.path!r}; sys.argv[0] = ''; import runpy; "
    code += "runpy.run_module('tests.cluster.host_process', run_name='__main__')"
    command = [*prefix, sys.executable, "-c", code, str(folder), host]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            port, secret, worker = process.stdout.readline().split()
            address = ReplicaAddress("far", "m", "d", "there", host, int(port), bytes.fromhex(secret))
            yield HostProcess(process, address, psutil.Process(int(worker)))
        finally:
            process.kill()


@pytest.fixture
def far(tmp_path: Path) -> Iterator[HostProcess]:
    """Yield a replica in a process of its own."""
    with host_process(tmp_path / "far") as process:
        yield process


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "stopped"])
async def test_a_host_is_lost(
    how: signal.Signals, far: HostProcess, new_cluster: NewCluster, new_gateway: NewGateway, tmp_path: Path
) -> None:
    """When a host is killed or stops, its request without an event is answered elsewhere, and new ones go there."""
    cluster = await new_cluster(0)
    cluster.addresses["far"] = far.address
    serving = await new_gateway(cluster, is_connected=False)
    await until(lambda: accepting(serving) == 1)
    stream = await opened(serving, f"wait-once {tmp_path / 'seen'}")
    await (await cluster.add(scripted())).ready()
    await until(lambda: accepting(serving) == 2)
    os.kill(far.process.pid, how)
    await until(lambda: accepting(serving) == 1)
    assert await answer(serving, "count 2") == "1 2 "
    assert await rest_of(stream) == "1 "
    await stream.aclose()
    if how is signal.SIGKILL:
        await until(lambda: not far.worker.is_running() or far.worker.status() == psutil.STATUS_ZOMBIE)
    else:
        os.kill(far.process.pid, signal.SIGCONT)
        await until(lambda: accepting(serving) == 2)
    del cluster.addresses["far"]
