"""What the CLI does with clusters: this machine's node, the state of all nodes, the limits of models.

Nothing here is imported before it is asked for: on one machine nothing of a cluster is in memory.
"""

import contextlib
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from homeport.app.cluster_models import NODE_MODELS, describe_model
from homeport.app.models import served_store
from homeport.cluster.ray import nodes
from homeport.cluster.ray.environment import create_token, find_token, ray_variables, require_ray
from homeport.cluster.ray.nodes import ClusterNode, NodePlan
from homeport.domain.child_environment import environment_without, set_variables
from homeport.domain.clusters import ClusterReport, NodeOptions, RunningNode, ScalingLimits
from homeport.domain.errors import EngineFailed, InvalidRequest, ModelNotFound, Unavailable
from homeport.settings import CONFIG, SETTINGS, Settings

_CONTROLLER_LIMIT_S = 180.0
_CALL_LIMIT_S = 30.0
_WATCH_S = 0.5
_REJOIN_S = 5.0


def run_node(settings: Settings, options: NodeOptions, announce: Callable[[RunningNode], None]) -> None:
    """Run this machine's node until SIGTERM or SIGINT, or until it has been drained.

    A node that loses its head joins again when the head is back. Raises what prevents the start, or EngineFailed if the
    head's own processes end.
    """
    require_ray()
    node = ClusterNode(_plan(settings, options), node_environment(settings))
    is_stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: is_stopped.set())
    plan = node.plan
    running = RunningNode(plan.address, plan.host, str(plan.token_file), is_head=plan.head is None)
    node.start()
    try:
        if running.is_head:
            _start_controller(node)
        announce(running)
        while not is_stopped.wait(_WATCH_S):
            if node.is_running:
                if node.has_left:
                    return
            elif running.is_head:
                raise EngineFailed(f"The head has ended; its output is in {settings.home / 'cluster' / 'node.log'}.")
            elif _join_again(node, is_stopped):
                announce(running)
    finally:
        node.stop()


def read_status(settings: Settings) -> ClusterReport:
    """Return the nodes and replicas of the cluster."""
    report: ClusterReport = _call(settings, "status")
    return report


def drain_node(settings: Settings, node: str) -> None:
    """Let a node's replicas move elsewhere after their requests; then the node leaves. Raises InvalidRequest."""
    refusal = _call(settings, "drain", node)
    if refusal is not None:
        raise InvalidRequest(refusal)


def scale_model(settings: Settings, name: str, limits: ScalingLimits) -> None:
    """Set how many replicas a model may have. Raises ModelNotFound if neither this machine nor the cluster has it."""
    store = served_store(settings)
    model = store.find(name)
    described = describe_model(store, model) if model else None
    if not _call(settings, "scale", name, limits, described, with_node=True):
        raise ModelNotFound(f"The model `{name:.100}` is not installed here and the cluster does not know it.")


def _plan(settings: Settings, options: NodeOptions) -> NodePlan:
    if options.head is None:
        if options.host is None:
            raise InvalidRequest("The head needs --host: the address of this machine that the others reach.")
        if settings.cluster_token is None and settings.cluster_token_file is None:
            create_token(settings.home)
    token_file = find_token(settings.home, settings.cluster_token, settings.cluster_token_file)
    return NodePlan(
        home=settings.home,
        host=options.host or nodes.own_address(options.head or ""),
        first_port=settings.cluster_ports,
        token_file=token_file.absolute(),
        head=options.head,
        cpus=options.cpus,
        gpus=options.gpus,
        memory_bytes=options.memory_bytes,
        drain_s=settings.drain_s,
    )


def node_environment(settings: Settings, environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the variables of a node's processes: replicas read this node's settings from them, but no secrets."""
    secrets = {variable for setting in SETTINGS.values() if setting.spec.secret for variable in setting.variables}
    variables = environment_without(secrets, environ)
    files = [path for origin in settings.origins.values() if (path := Path(origin)).is_file()]
    if files:
        variables[CONFIG] = str(files[0].absolute())
    own = {"home": str(settings.home), "cluster_ports": str(settings.cluster_ports)}
    return variables | {SETTINGS[name].variables[0]: value for name, value in own.items()}


def _join_again(node: ClusterNode, is_stopped: threading.Event) -> bool:
    """Try to start a node that has ended, until it runs; False if it is stopped before."""
    node.stop()
    while not is_stopped.wait(_REJOIN_S):
        with contextlib.suppress(Unavailable):
            node.start()
            return True
    return False


def _start_controller(node: ClusterNode) -> None:
    plan = node.plan
    state_file = plan.home / "cluster" / "controller.json"
    command = [sys.executable, "-m", "homeport.cluster.ray.controller_start"]
    command += [plan.address, plan.host, str(state_file), NODE_MODELS]
    try:
        ended = subprocess.run(
            command,
            env=dict(node.variables),
            capture_output=True,
            text=True,
            timeout=_CONTROLLER_LIMIT_S,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"The controller did not start within {_CONTROLLER_LIMIT_S:.0f} s.") from error
    if ended.returncode:
        last = next(iter(reversed(ended.stderr.strip().splitlines())), "no output")
        raise Unavailable(f"The controller did not start: {last:.300}")


def find_cluster(settings: Settings) -> tuple[str, Path, str | None]:
    """Return the cluster's address, the token's file, and the address of this machine's node, if it is known.

    Prepares this process for Ray, which reads its variables while it is imported. Raises InvalidRequest if no cluster
    is set and no node runs from this home.
    """
    require_ray()
    node = nodes.find_node(settings.home)
    address = settings.cluster or (node.address if node else None)
    if address is None:
        raise InvalidRequest("Which cluster? No node runs from this home: name the head's address by --cluster.")
    if settings.cluster_token is None and settings.cluster_token_file is None and node is not None:
        token_file = node.token_file
    else:
        token_file = find_token(settings.home, settings.cluster_token, settings.cluster_token_file)
    set_variables(ray_variables(token_file))
    return address, token_file, node.host if node is not None and node.address == address else None


def _call(settings: Settings, method: str, *arguments: Any, with_node: bool = False) -> Any:
    """Connect to the cluster for one call of its controller. `with_node` adds Ray's name for this machine's node."""
    address, token_file, host = find_cluster(settings)
    from homeport.cluster.ray import connection

    connection.connect(address, token_file, host)
    try:
        arguments = (*arguments, connection.node_id()) if with_node else arguments
        return connection.call_controller(address, method, *arguments, timeout_s=_CALL_LIMIT_S)
    finally:
        connection.disconnect()
