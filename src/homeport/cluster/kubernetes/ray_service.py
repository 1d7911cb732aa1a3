"""The RayService: the head, which runs no models, and groups of worker Pods, the nodes that do.

Its one Serve application is `cluster.ray.controller_application`, by which the controller starts. Requests do not pass
through Serve, so its proxies are off, and probes ask Ray's agent instead of them.
"""

from pathlib import Path

import yaml

from homeport.cluster.kubernetes.plan import (
    ALL_ADDRESSES,
    HEAD_CLAIM,
    HOME,
    NAME,
    TOKEN_SECRET,
    ManifestPlan,
    Object,
    container_security,
    http_probe,
    labels,
    metadata,
    mounts,
    pod_security,
    resources,
    token_variable,
    variables,
)
from homeport.cluster.ray.environment import ray_variables
from homeport.cluster.ray.node_process import HOOK
from homeport.cluster.ray.nodes import NodePlan, node_arguments

RAY_VERSION = "2.60.0"
"""The version that the extra `cluster` pins; KubeRay decides by it what it can ask of Ray."""

APPLICATION = "homeport.cluster.ray.controller_application:controller_application"
DASHBOARD_PORT = 8265
"""Through it KubeRay deploys the application."""

WORKER_GRACE_S = 660
"""A worker Pod's requests get 600 s to finish."""

_MODEL_SHARE = 0.7  # of a Pod's memory; Ray's own default for a machine
_STATE_FILE = f"{HOME}/cluster/controller.json"


def ray_service(plan: ManifestPlan) -> Object:
    """Return the RayService. A change of its Pods applies to new Pods only: a new head would end all replicas."""
    options = plan.options
    groups = [_worker_group(plan, "cpu", options.workers, 0)] if options.workers else []
    if options.gpu_workers:
        groups.append(_worker_group(plan, "gpu", options.gpu_workers, options.gpus))
    return {
        "apiVersion": "ray.io/v1",
        "kind": "RayService",
        "metadata": metadata(plan, NAME),
        "spec": {
            "upgradeStrategy": {"type": "None"},
            "excludeHeadPodFromServeSvc": True,
            "serveConfigV2": serve_config(plan),
            "rayClusterConfig": {
                "rayVersion": RAY_VERSION,
                "authOptions": {"mode": "token", "secretName": TOKEN_SECRET},
                "enableInTreeAutoscaling": False,
                "headGroupSpec": _head_group(plan),
                "workerGroupSpecs": groups,
            },
        },
    }


def head_claim(plan: ManifestPlan) -> Object:
    """Return the claim of the head's volume, on which the controller keeps what was asked for."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": metadata(plan, HEAD_CLAIM),
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }


def serve_config(plan: ManifestPlan) -> str:
    """Return what KubeRay has Serve run, as the YAML text that a RayService holds."""
    config = {
        "proxy_location": "Disabled",
        "applications": [
            {
                "name": NAME,
                "import_path": APPLICATION,
                "route_prefix": None,
                "args": {"state_file": _STATE_FILE, "node_models": plan.node_models},
            }
        ],
    }
    return yaml.safe_dump(config, sort_keys=False)


def start_parameters(plan: ManifestPlan, *, is_head: bool) -> dict[str, str]:
    """Return the parameters of `ray start` that a node of any cluster has: its ports, and the object store's size."""
    node = NodePlan(
        home=Path(), host="", first_port=plan.first_port, token_file=Path(), head=None if is_head else plan.head
    )
    flags = dict(flag.removeprefix("--").split("=", 1) for flag in node_arguments(node, Path()) if "=" in flag)
    return {name: value for name, value in flags.items() if name.endswith("port") or name == "object-store-memory"}


def _head_group(plan: ManifestPlan) -> Object:
    first = plan.first_port
    ports = {"gcs-server": first, "dashboard": DASHBOARD_PORT, "metrics": first + 5}
    container = _container(plan, "ray-head", {"DASHBOARD_METRIC_PORT": str(first + 7)})
    container["ports"] = [{"name": name, "containerPort": port} for name, port in ports.items()]
    container["resources"] = resources({"cpu": "500m", "memory": "2Gi"}, {"memory": "4Gi"})
    return {
        "serviceType": "ClusterIP",
        "rayStartParams": {
            **start_parameters(plan, is_head=True),
            "dashboard-host": ALL_ADDRESSES,
            "dashboard-port": str(DASHBOARD_PORT),
            "num-cpus": "0",
        },
        "template": {
            "metadata": {"labels": labels("head")},
            "spec": {
                **_pod(),
                "containers": [container],
                "volumes": [{"name": "home", "persistentVolumeClaim": {"claimName": HEAD_CLAIM}}],
            },
        },
    }


def _worker_group(plan: ManifestPlan, name: str, n_pods: int, gpus: int) -> Object:
    options = plan.options
    amounts = {"cpu": str(options.cpus), "memory": str(options.memory_bytes)}
    if gpus:
        amounts["nvidia.com/gpu"] = str(gpus)
    container = _container(plan, "ray-worker", {})
    container["ports"] = [{"name": "metrics", "containerPort": plan.first_port + 5}]
    container["resources"] = resources(amounts, amounts)
    container["lifecycle"] = {"preStop": {"exec": {"command": ["/bin/bash", "-c", _leave(plan)]}}}
    pod = {
        **_pod(),
        "terminationGracePeriodSeconds": WORKER_GRACE_S,
        "containers": [container],
        "volumes": [{"name": "home", "emptyDir": {}}],
    }
    if gpus:
        pod["tolerations"] = [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
    return {
        "groupName": name,
        "replicas": n_pods,
        "minReplicas": n_pods,
        "maxReplicas": n_pods,
        "rayStartParams": {
            **start_parameters(plan, is_head=False),
            "num-cpus": str(options.cpus),
            "num-gpus": str(gpus),
            "memory": str(int(options.memory_bytes * _MODEL_SHARE)),
        },
        "template": {"metadata": {"labels": labels("worker")}, "spec": pod},
    }


def _leave(plan: ManifestPlan) -> str:
    """Return the command by which a worker Pod leaves: it is drained, and ends when its part of Ray has ended.

    Without the head it does not wait: nothing can move then.
    """
    own, head = f"$POD_IP/{plan.first_port + 1}", plan.head.replace(":", "/")
    is_waiting = f'(exec 3<>"/dev/tcp/{own}" && exec 3<>"/dev/tcp/{head}") 2>/dev/null'
    return f'homeport cluster drain "$POD_IP" && while {is_waiting}; do sleep 1; done'


def _pod() -> Object:
    return {
        "enableServiceLinks": False,
        "automountServiceAccountToken": False,
        "securityContext": pod_security(),
    }


def _ray_variables() -> dict[str, str]:
    """Return what `homeport cluster` sets on other machines, except the token's file: here it is a variable."""
    given = {name: value for name, value in ray_variables(Path()).items() if name != "RAY_AUTH_TOKEN_PATH"}
    return {**given, "RAY_START_HOOK": HOOK, "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0"}  # `_leave` has drained it


def _container(plan: ManifestPlan, name: str, more: dict[str, str]) -> Object:
    agent = plan.first_port + 4
    return {
        "name": name,
        "image": plan.options.image,
        "env": [
            *variables(plan, HOMEPORT_CLUSTER=plan.head, **_ray_variables(), **more),
            token_variable("RAY_AUTH_TOKEN"),
            token_variable("HOMEPORT_CLUSTER_TOKEN"),
        ],
        "readinessProbe": http_probe("/api/healthz", agent, period_s=5, failures=3),
        "livenessProbe": {
            **http_probe("/api/healthz", agent, period_s=10, failures=12),
            "initialDelaySeconds": 60,  # Ray takes up to 40 s to come up on a busy machine
        },
        "securityContext": container_security(),
        "volumeMounts": mounts(home=HOME),
    }
