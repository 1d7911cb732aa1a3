"""This process's connection to a cluster, and what is called on it. A process has at most one connection.

Ray connects through the node on the same machine, so there must be one: `homeport cluster join` starts it.
"""

from pathlib import Path
from typing import Any

import ray

from homeport.cluster.ray.nodes import check_head
from homeport.domain.errors import Unavailable

NAMESPACE = "homeport"
CONTROLLER = "homeport"
"""The name of the controller, an actor, in `NAMESPACE`."""


def connect(address: str, token_file: Path, host: str | None) -> None:
    """Connect this process, which takes some seconds. `host`: the address of this machine's node, if it is known.

    A process that was connected before can connect again once it is disconnected.

    The variables of `environment.ray_variables` must have been set before this module was imported.

    Raises Unavailable if there is no cluster or this machine has no node of it, InvalidRequest for a wrong token.
    """
    check_head(address, token_file)
    own = {} if host is None else {"_node_ip_address": host}
    try:
        ray.init(
            address=address,
            namespace=NAMESPACE,
            log_to_driver=False,
            configure_logging=False,
            logging_level="error",
            **own,
        )
    except Exception as error:
        raise Unavailable(
            f"This machine could not connect to the cluster at {address}; it needs a node of it, which "
            f"`homeport cluster join {address}` starts: {error!s:.300}"
        ) from error


def disconnect() -> None:
    """End the connection. Safe without one."""
    ray.shutdown()


def find_controller(address: str) -> Any:
    """Return the controller. Raises Unavailable if the cluster has none."""
    try:
        return ray.get_actor(CONTROLLER, NAMESPACE)
    except ValueError as error:
        raise Unavailable(
            f"The cluster at {address} has no controller: `homeport cluster start` starts it with the head."
        ) from error


def call_controller(address: str, method: str, *arguments: object, timeout_s: float) -> Any:
    """Call the controller and wait for its answer. Raises Unavailable."""
    controller = find_controller(address)
    try:
        return ray.get(getattr(controller, method).remote(*arguments), timeout=timeout_s)
    except ray.exceptions.RayError as error:
        raise Unavailable(
            f"The controller of the cluster at {address} does not answer: {type(error).__name__}"
        ) from error


def node_id() -> str:
    """Return Ray's name for the node through which this process is connected."""
    return str(ray.get_runtime_context().get_node_id())
