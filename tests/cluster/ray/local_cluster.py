"""A cluster of three nodes on this machine, each with an address, ports and a home of its own."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import msgspec
import psutil

from homeport.cluster.ray.environment import create_token
from homeport.cluster.ray.nodes import ClusterNode, NodePlan, session_folder
from homeport.cluster.scaling import ScalingPolicy
from tests.cluster.ray import scripted_node

ROOT = Path(__file__).parents[3]
PORTS_PER_NODE = 200
POLICY = ScalingPolicy(down_s=2.0, zero_s=3.0)


def free_ports() -> int:
    """Return the first of a thousand ports that no other cluster on this machine uses."""
    for first in range(20_000, 32_000, 1000):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("", first))
            return first
    raise AssertionError("there are too many clusters on this machine")


class LocalCluster:
    """Three nodes and the controller. Their homes are empty; `address` is the head's.

    `node_models`: the `module:function` by which nodes find models.
    """

    def __init__(self, folder: Path, node_models: str = scripted_node.NAME) -> None:
        self.folder = folder
        self._node_models = node_models
        self.token_file = create_token(folder)
        self.nodes: list[ClusterNode] = []
        self.n_started = 0
        self.first_port = free_ports()

    @property
    def address(self) -> str:
        """The head's address."""
        return self.nodes[0].plan.address

    def start(self) -> None:
        """Start all nodes, then the controller."""
        for _ in range(3):
            self.add_node()
        head = self.nodes[0]
        state_file = head.plan.home / "cluster" / "controller.json"
        command = [sys.executable, "-m", "homeport.cluster.ray.controller_start", head.plan.address, head.plan.host]
        command += [str(state_file), self._node_models, msgspec.json.encode(POLICY).decode()]
        ended = subprocess.run(command, env=dict(head.variables), capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stdout + ended.stderr

    def add_node(self) -> ClusterNode:
        """Start one more node; the first one is the head."""
        number = self.n_started
        self.n_started += 1
        plan = NodePlan(
            home=self.folder / f"home-{number}",
            host=f"127.0.0.{number + 2}",
            first_port=self.first_port + PORTS_PER_NODE * number,
            token_file=self.token_file,
            head=self.nodes[0].plan.address if self.nodes else None,
            cpus=2,
            gpus=0,
            memory_bytes=2_000_000_000,
        )
        variables = {name: value for name, value in os.environ.items() if not name.startswith("HOMEPORT_")}
        variables |= {
            "HOMEPORT_HOME": str(plan.home),
            "HOMEPORT_CLUSTER_PORTS": str(plan.first_port),
            "HOMEPORT_OFFLINE": "1",
            "PYTHONPATH": str(ROOT),
        }
        node = ClusterNode(plan, variables)
        node.start()
        self.nodes.append(node)
        return node

    def raylet(self, node: ClusterNode) -> psutil.Process:
        """Return the process that places replicas on a node; without it the node has ended."""
        return next(each for each in psutil.Process(node.pid).children() if each.name() == "raylet")

    def end_node(self, node: ClusterNode) -> None:
        """End a node as a machine without power ends."""
        self.signal_node(node, signal.SIGKILL)
        self.forget(node)

    def signal_node(self, node: ClusterNode, number: signal.Signals) -> None:
        """Send a signal to all processes of a node at once, if it runs."""
        if not node.is_running:
            return
        for process in [*psutil.Process(node.pid).children(recursive=True), psutil.Process(node.pid)]:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(number)

    def forget(self, node: ClusterNode) -> None:
        """Clean up after a node that has ended."""
        node.stop()
        self.nodes.remove(node)
        shutil.rmtree(session_folder(node.plan.home), ignore_errors=True)

    def stop(self) -> None:
        """End all nodes at once, and check that none of their processes is left."""
        pids = [node.pid for node in self.nodes if node.is_running]
        processes = [process for pid in pids for process in psutil.Process(pid).children(recursive=True)]
        for node in list(self.nodes):
            self.end_node(node)
        _, alive = psutil.wait_procs(processes, 10)
        assert not alive, [process.cmdline() for process in alive]
