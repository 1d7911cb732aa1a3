"""A cluster of three nodes on this machine, each with an address, ports and a home of its own."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import filelock
import msgspec
import psutil

from homeport.cluster.ray.environment import create_token
from homeport.cluster.ray.nodes import ClusterNode, NodePlan, session_folder
from homeport.cluster.scaling import ScalingPolicy
from homeport.domain.clusters import ScalingLimits
from homeport.domain.errors import Unavailable
from tests.cluster.ray import scripted_node

ROOT = Path(__file__).parents[3]
N_NODES = 3
PORTS_PER_NODE = 200
PORTS_PER_CLUSTER = 1000
CALL_LIMIT_S = 30.0
REJOIN_LIMIT_S = 60.0
"""Nodes leave a head that was started again within a minute."""
POLICY = ScalingPolicy(down_s=2.0, zero_s=3.0)


def reserve_ports() -> tuple[int, filelock.FileLock]:
    """Return the first of a thousand ports that nothing uses, and what keeps other clusters' tests from them."""
    for first in range(20_000, 32_000, PORTS_PER_CLUSTER):
        lock = filelock.FileLock(Path(tempfile.gettempdir()) / f"homeport-test-ports-{first}.lock")
        with contextlib.suppress(filelock.Timeout, OSError):
            lock.acquire(timeout=0)
            if all(_is_free(port) for port in range(first, first + PORTS_PER_CLUSTER)):
                return first, lock
            lock.release()
    raise AssertionError("there are too many clusters on this machine")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True


def _host(number: int) -> str:
    return f"127.0.0.{number + 2}"


class LocalCluster:
    """Three nodes and the controller. Their homes are empty; `address` is the head's.

    `node_models`: the `module:function` by which nodes find models; `settings`: HOMEPORT_* variables of the nodes.
    """

    def __init__(
        self,
        folder: Path,
        node_models: str = scripted_node.NAME,
        policy: ScalingPolicy = POLICY,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self._node_models = node_models
        self._policy = policy
        self._settings = settings or {}
        self.token_file = create_token(folder)
        self.nodes: list[ClusterNode] = []
        self._starter = ThreadPoolExecutor(max_workers=1)
        self.first_port, self._ports_lock = reserve_ports()

    @property
    def address(self) -> str:
        """The head's address."""
        return self.nodes[0].plan.address

    def start(self) -> None:
        """Start all nodes, then the controller."""
        self.add_missing_nodes()
        self._start_controller()

    def _start_controller(self) -> None:
        head = self.nodes[0]
        state_file = head.plan.home / "cluster" / "controller.json"
        command = [sys.executable, "-m", "homeport.cluster.ray.controller_start", head.plan.address, head.plan.host]
        command += [str(state_file), self._node_models, msgspec.json.encode(self._policy).decode()]
        ended = subprocess.run(command, env=dict(head.variables), capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stdout + ended.stderr

    def add_node(self) -> ClusterNode:
        """Start one more node, in the place of one that has ended if there is one; the first one is the head."""
        used = {node.plan.host for node in self.nodes}
        number = next(each for each in range(len(used) + 1) if _host(each) not in used)
        plan = NodePlan(
            home=self.folder / f"home-{number}",
            host=_host(number),
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
            **self._settings,
        }
        node = ClusterNode(plan, variables)
        self._start_node(node)
        self.nodes.append(node)
        return node

    def add_missing_nodes(self) -> None:
        """Replace the nodes that a test has ended."""
        for node in [each for each in self.nodes if not each.is_running]:
            self.forget(node)
        while len(self.nodes) < N_NODES:
            self.add_node()

    def is_whole(self) -> bool:
        """Whether Ray lists exactly these nodes, and no model has a replica: those that have one are stopped.

        False while the controller does not answer.
        """
        try:
            return self._has_all_nodes_and_no_model()
        except Unavailable:
            return False

    def _has_all_nodes_and_no_model(self) -> bool:
        from ray import serve

        from homeport.cluster.ray.connection import call_controller

        call = partial(call_controller, self.address, timeout_s=CALL_LIMIT_S)
        report = call("status")
        for name, limits in report.limits.items():
            if limits.min_replicas:
                call("scale", name, ScalingLimits(), None, "")
            call("stop", name)
        # One whose last replica found no room is being deleted for minutes, and takes none.
        running = {name for name, each in serve.status().applications.items() if each.status != "DELETING"}
        models = [name for name in running if name.startswith("model-")]
        found = sorted(node.address for node in report.nodes if node.state == "alive")
        return found == sorted(node.plan.host for node in self.nodes) and not report.replicas and not models

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

    def kill_head(self) -> None:
        """End the head as a machine without power ends. It stays in `nodes`: `start_head_again` follows."""
        self.signal_node(self.nodes[0], signal.SIGKILL)
        self.nodes[0].stop()

    def start_head_again(self) -> None:
        """Start the head and the controller, and have the other nodes join again once they end, as `join` does."""
        head, *others = self.nodes
        self._start_node(head)
        self._start_controller()
        deadline = time.monotonic() + REJOIN_LIMIT_S
        for node in others:
            while node.is_running:
                assert time.monotonic() < deadline, f"{node.plan.host} does not leave the head that has ended"
                time.sleep(0.1)
            while not node.is_running:  # its agents may still have their ports
                node.stop()
                try:
                    self._start_node(node)
                except Unavailable:
                    if time.monotonic() > deadline:
                        raise
                    time.sleep(0.1)

    def _start_node(self, node: ClusterNode) -> None:
        """Start a node on a thread that lives as long as the cluster: a node ends with the thread that started it."""
        self._starter.submit(node.start).result()

    def forget(self, node: ClusterNode) -> None:
        """Clean up after a node that has ended."""
        node.stop()
        self.nodes.remove(node)
        shutil.rmtree(session_folder(node.plan.home).parent, ignore_errors=True)

    def stop(self) -> None:
        """End all nodes at once, and check that none of their processes is left."""
        pids = [node.pid for node in self.nodes if node.is_running]
        processes = [process for pid in pids for process in psutil.Process(pid).children(recursive=True)]
        for node in list(self.nodes):
            self.end_node(node)
        _, alive = psutil.wait_procs(processes, 10)
        self._starter.shutdown()
        self._ports_lock.release()
        assert not alive, [process.cmdline() for process in alive]
