"""The Serve applications by which the controller runs models: one for each model. All functions block.

Knows nothing of why a model shall have that number of replicas.
"""

import contextlib
import re
import zlib

import ray
from ray import serve

from homeport.cluster.deployments import Target
from homeport.cluster.ray.replica import DEPLOYMENT, replica_application

_SERVE_NAMESPACE = "serve"


def application_name(model: str) -> str:
    """Return the name of a model's application."""
    slug = re.sub(r"[^A-Za-z0-9._-]", "-", model)
    return f"model-{slug}" if slug == model else f"model-{slug}-{zlib.crc32(model.encode()):08x}"


def deploy(name: str, target: Target, node_models: str) -> None:
    """Have Serve run as many replicas of a model as wanted. Does not wait for them."""
    application = application_name(name)
    if not target.n_replicas:
        serve.delete(application, _blocking=False)
        return
    bound = replica_application(target.description, target.n_replicas, target.gpus, node_models)
    serve.run_many(
        [serve.RunTarget(bound, name=application, route_prefix=None)],
        wait_for_ingress_deployment_creation=False,
        wait_for_applications_running=False,
    )


def count_running(name: str) -> int:
    """Return how many replicas of a model would finish their requests if Serve replaced them now.

    Serve kills the others: those that it believes to be starting, and those whose node is being drained.
    """
    application = serve.status().applications.get(application_name(name))
    deployment = application.deployments.get(DEPLOYMENT) if application is not None else None
    return int(deployment.replica_states.get("RUNNING", 0)) if deployment is not None else 0


def kill_replica(actor: str) -> None:
    """Have Ray believe that a replica has ended, so that Serve starts another one. Safe if it has ended."""
    with contextlib.suppress(ValueError, ray.exceptions.RayError):
        ray.kill(ray.get_actor(actor, _SERVE_NAMESPACE))
