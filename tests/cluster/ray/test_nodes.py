"""Nodes of a real cluster: how they join, leave, are drained and are lost, and the commands on them."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import psutil
import pytest

from homeport.domain.errors import Conflict, InvalidRequest, Unavailable
from homeport.domain.models import InstalledModel
from homeport.domain.ports.serving import RequestStream
from tests.cluster.ray.conftest import Gateway
from tests.cluster.ray.test_gateways import LIMIT_S
from tests.serving.conftest import answer, until
from tests.system.server import running

if TYPE_CHECKING:
    from tests.cluster.ray.local_cluster import LocalCluster

pytestmark = pytest.mark.alone

ROOT = Path(__file__).parents[3]


def variables() -> dict[str, str]:
    """Return the environment of a command."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "HOMEPORT_OFFLINE": "1", "COLUMNS": "200"}


def homeport(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    command = [sys.executable, "-m", "homeport", *arguments]
    return subprocess.run(command, env=variables(), capture_output=True, text=True, check=False, timeout=120)


def status(home: Path) -> Any:
    """Return what `cluster status` says on the machine of a node."""
    ended = homeport("cluster", "status", "--json", "--home", str(home))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return json.loads(ended.stdout)


def free_port(cluster: "LocalCluster") -> int:
    """Return the first port of a node that the cluster does not have yet."""
    return cluster.first_port + 800


def fetched(home: Path, name: str) -> list[Path]:
    """Return the files of this name that a node got from others."""
    return [*(home / "cluster" / "models").glob(f"*/models/*/{name}")]


def join_flags(cluster: "LocalCluster", home: Path) -> list[str]:
    """Return the flags of a node of this user."""
    return ["--home", str(home), "--token-file", str(cluster.token_file), "--memory", "2GB"]


@contextmanager
def joined(
    cluster: "LocalCluster", flags: Sequence[str], under: Sequence[str] = (), environ: Mapping[str, str] | None = None
) -> Iterator["subprocess.Popen[str]"]:
    """Run a node by `homeport cluster join`; end it if the test does not. `under`: a program that runs the command."""
    command = [*under, sys.executable, "-m", "homeport", "cluster", "join", cluster.address, *flags]
    command += ["--host", "127.0.0.9", "--cluster-ports", str(free_port(cluster)), "--cpus", "2"]
    with subprocess.Popen(
        command, env=environ or variables(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as child:
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == f"127.0.0.9 is a node of the cluster at {cluster.address}\n"
            yield child
        finally:
            child.send_signal(signal.SIGTERM)


async def test_one_home_has_one_node(cluster: "LocalCluster") -> None:
    """A second node of a home is refused by name."""
    from homeport.cluster.ray.nodes import ClusterNode

    plan = cluster.nodes[0].plan
    with pytest.raises(Conflict, match=f"already. It belongs to the cluster at {plan.address}"):
        ClusterNode(plan, {}).start()


async def test_wrong_token(cluster: "LocalCluster", tmp_path: Path) -> None:
    """A node with another token than the head's is refused, and is told which file holds it."""
    from homeport.cluster.ray.nodes import ClusterNode

    other = tmp_path / "token"
    other.write_text("0" * 64)
    plan = msgspec.structs.replace(
        cluster.nodes[1].plan, home=tmp_path / "home", host="127.0.0.9", first_port=free_port(cluster), token_file=other
    )
    with pytest.raises(InvalidRequest, match=f"does not accept the token in {other}"):
        ClusterNode(plan, {}).start()


async def test_wrong_address(cluster: "LocalCluster", tmp_path: Path) -> None:
    """A node whose head's address is wrong says that no cluster answers there."""
    from homeport.cluster.ray.nodes import ClusterNode

    plan = cluster.nodes[1].plan
    plan = msgspec.structs.replace(plan, home=tmp_path / "home", host="127.0.0.9", head="127.0.0.2:9")
    with pytest.raises(Unavailable, match=r"No cluster answers at 127\.0\.0\.2:9"):
        ClusterNode(msgspec.structs.replace(plan, first_port=free_port(cluster)), {}).start()


async def test_node_joins_and_leaves(cluster: "LocalCluster", tmp_path: Path) -> None:
    """`cluster join` makes a node that `cluster status` lists; SIGTERM ends it with all its processes."""
    with joined(cluster, join_flags(cluster, tmp_path / "home")) as child:
        found = {node["address"]: node["state"] for node in status(tmp_path / "home")["nodes"]}
        assert found["127.0.0.9"] == "alive"
        assert len(found) == 4
        processes = psutil.Process(child.pid).children(recursive=True)
        child.send_signal(signal.SIGTERM)
        assert child.wait(60) == 0
        _, alive = psutil.wait_procs(processes, 5)
        assert not alive


async def count_events(stream: RequestStream) -> int:
    """Read a stream to its end and return the number of its events."""
    count = sum([len(batch) async for batch in stream])
    await stream.aclose()
    return count


async def test_drained_node_leaves(
    cluster: "LocalCluster", gateway: Gateway, model: InstalledModel, tmp_path: Path
) -> None:
    """A drained node's replica finishes its requests, another node gets one, and the node's command ends."""
    with joined(cluster, join_flags(cluster, tmp_path / "home")) as child:
        await gateway.scale(model, 4, 4)  # one on each node
        await until(lambda: gateway.n_ready(model) == 4, LIMIT_S)
        await gateway.scale(model, 1, 4)
        streams = [await gateway.open(model, "count 2000") for _ in range(4)]
        drained = await asyncio.to_thread(homeport, "cluster", "drain", "127.0.0.9", "--home", str(tmp_path / "home"))
        assert drained.returncode == 0, drained.stderr
        read = [asyncio.create_task(count_events(stream)) for stream in streams]  # unread, they would hold up the node
        await until(lambda: "127.0.0.9" not in gateway.nodes(model), LIMIT_S)
        assert await asyncio.gather(*read) == [2002] * len(streams)
        assert await asyncio.to_thread(child.wait, 60) == 0
    assert await answer(gateway.serving, "count 1", model) == "1 "
    await gateway.scale(model, 0, 1)


def test_real_model(cluster: "LocalCluster", tmp_path: Path, multilingual_e5: Path) -> None:
    """`homeport serve --cluster` embeds on a node that had no model and got it from this machine's home."""
    flags = ("--cluster", cluster.address, "--token-file", str(cluster.token_file))
    with running(tmp_path / "server.log", *flags) as server:
        body = {"model": "multilingual-e5-small", "input": "hello"}
        found = server.call("POST", "/v1/embeddings", body)
        assert found.status == 200, found.body
        assert len(found.json()["data"][0]["embedding"]) == 384
        copies = [path for node in cluster.nodes for path in fetched(node.plan.home, multilingual_e5.name)]
        assert [path.read_bytes() for path in copies] == [multilingual_e5.read_bytes()]


async def test_lost_node(cluster: "LocalCluster", gateway: Gateway, model: InstalledModel) -> None:
    """When a node is lost, requests go on at the others, and replicas that were on it are placed there."""
    lost = cluster.nodes[2]
    await gateway.scale(model, 3, 3)
    await until(lambda: gateway.n_ready(model) == 3, LIMIT_S)
    await gateway.scale(model, 2, 2)
    await until(lambda: len(gateway.nodes(model)) == 2, LIMIT_S)
    cluster.end_node(lost)
    for _ in range(10):
        assert await answer(gateway.serving, "count 1", model) == "1 "
    kept = {node.plan.host for node in cluster.nodes}
    await until(lambda: gateway.nodes(model) == kept, LIMIT_S)
