"""The Serve application by which a cluster on Kubernetes gets its controller, since KubeRay starts only applications.

Its one replica, on the head, starts the controller if there is none. It receives no requests.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ray
from ray import serve

from homeport.cluster.ray.controller_start import start_controller

_HEAD = "node:__internal_head__"
_SHARE = 0.001  # of the head; a mark of the place, not a limit


class ControllerKeeper:
    """Keeps the controller alive: Ray starts it again if it ends, this replica if it was ended for good."""

    async def __init__(self, state_file: str, node_models: str) -> None:  # type: ignore[misc]  # Serve awaits it
        Path(state_file).parent.mkdir(parents=True, exist_ok=True)
        node_id = ray.get_runtime_context().get_node_id()
        self._controller = start_controller(node_id, state_file, node_models)
        await self._controller.started.remote()

    async def check_health(self) -> None:
        """Raise what Ray raises if the controller is gone; Serve then replaces this replica. Serve calls it."""
        await self._controller.started.remote()


def controller_application(args: Mapping[str, str]) -> Any:
    """Return the application. `args`: the `state_file` and `node_models` of a `Controller`."""
    deployment = serve.deployment(
        ControllerKeeper,
        name="controller-keeper",
        num_replicas=1,
        ray_actor_options={"num_cpus": 0, "resources": {_HEAD: _SHARE}},
        health_check_timeout_s=60.0,
    )
    return deployment.bind(args["state_file"], args["node_models"])
