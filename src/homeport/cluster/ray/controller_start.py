"""The process that starts the controller on a head that is up, and ends once it works.

Run as `python -m homeport.cluster.ray.controller_start ADDRESS HOST STATE_FILE NODE_MODELS`, with Ray's variables set.
"""

import sys
from typing import Any

import msgspec
import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from homeport.cluster.ray.connection import CONTROLLER, NAMESPACE
from homeport.cluster.ray.controller import Controller
from homeport.cluster.scaling import ScalingPolicy


def main() -> None:
    """Start the controller, if none runs."""
    address, host, state_file, node_models, *policy = sys.argv[1:]
    ray.init(address=address, namespace=NAMESPACE, _node_ip_address=host, log_to_driver=False, configure_logging=False)
    parsed = msgspec.json.decode(policy[0], type=ScalingPolicy) if policy else None
    controller = start_controller(ray.get_runtime_context().get_node_id(), state_file, node_models, parsed)
    ray.get(controller.started.remote(), timeout=120)


def start_controller(node_id: str, state_file: str, node_models: str, policy: ScalingPolicy | None = None) -> Any:
    """Start the controller on a node, the head, if none runs; return it. It may not work yet: await `started`."""
    actor = ray.remote(Controller).options(
        name=CONTROLLER,
        namespace=NAMESPACE,
        lifetime="detached",
        get_if_exists=True,
        num_cpus=0,
        max_restarts=-1,
        max_concurrency=1000,
        scheduling_strategy=NodeAffinitySchedulingStrategy(node_id, soft=False),
    )
    return actor.remote(state_file, node_models, policy)


if __name__ == "__main__":
    main()
