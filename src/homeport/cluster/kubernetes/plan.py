"""What all objects of a manifest share: names, labels, the variables of Pods, and how their containers run."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from homeport.domain.clusters import ManifestOptions

Object = dict[str, Any]
"""A part of a manifest, as it is written in YAML."""

NAME = "homeport"
"""The RayService and the Service of the gateways; the names of other objects begin with it."""

TOKEN_SECRET = f"{NAME}-token"
KEYS_SECRET = f"{NAME}-keys"
GATEWAY_SECRET = f"{NAME}-gateway"
HEAD_CLAIM = f"{NAME}-head"
TOKEN_KEY = "auth_token"  # noqa: S105 - the name that KubeRay expects
HOME = "/data"
HTTP_PORT = 8080
ALL_ADDRESSES = "0.0.0.0"  # noqa: S104 - Pods listen for their Service; the NetworkPolicies keep others out
SHARED_MEMORY = "/dev/shm"  # noqa: S108 - where Ray keeps objects

_USER = 1000


class ManifestPlan(msgspec.Struct, frozen=True, kw_only=True):
    """All that a manifest depends on. `token`: the cluster's, None: the manifest has a placeholder for it.

    `node_models`: names what finds the models of a node (`cluster.node_models`); `models`: those that gateways load.
    """

    options: ManifestOptions
    node_models: str
    first_port: int
    drain_s: float
    models: Sequence[str] = ()
    token: str | None = None

    @property
    def head(self) -> str:
        """The address of the cluster, as KubeRay names the Service of the head."""
        return f"{NAME}-head-svc.{self.options.namespace}.svc:{self.first_port}"

    @property
    def drain_seconds(self) -> int:
        """`drain_s` as a whole number."""
        return math.ceil(self.drain_s)


def labels(component: str) -> dict[str, str]:
    """Return the labels of a Pod. KubeRay uses `app.kubernetes.io/name` itself, so it is not among them."""
    return {**_PART, "app.kubernetes.io/component": component}


def all_pods() -> dict[str, str]:
    """Return the labels that all Pods of the cluster have."""
    return dict(_PART)


_PART = {"app.kubernetes.io/part-of": NAME}


def metadata(plan: ManifestPlan, name: str) -> Object:
    """Return the metadata of an object."""
    return {"name": name, "namespace": plan.options.namespace, "labels": all_pods()}


def variables(plan: ManifestPlan, **more: str) -> list[Object]:
    """Return the variables of every container: its address, and the settings of this program."""
    plain = {"HOME": HOME, "HOMEPORT_HOME": HOME, "HOMEPORT_CLUSTER_PORTS": str(plan.first_port), **more}
    return [
        {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        *({"name": name, "value": value} for name, value in plain.items()),
    ]


def token_variable(name: str) -> Object:
    """Return a variable that holds the cluster's token."""
    return {"name": name, "valueFrom": {"secretKeyRef": {"name": TOKEN_SECRET, "key": TOKEN_KEY}}}


def pod_security() -> Object:
    """Return how the processes of a Pod run: not as root. The group may write the volumes."""
    return {
        "runAsNonRoot": True,
        "runAsUser": _USER,
        "runAsGroup": _USER,
        "fsGroup": _USER,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def container_security() -> Object:
    """Return what the processes of a container may not do."""
    return {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


def http_probe(path: str, port: int, *, period_s: int, failures: int) -> Object:
    """Return a probe that is content with any answer that is no error."""
    return {
        "httpGet": {"path": path, "port": port},
        "periodSeconds": period_s,
        "timeoutSeconds": 5,
        "failureThreshold": failures,
    }


def mounts(**paths: str) -> list[Object]:
    """Return the mounts of volumes, by the volume's name."""
    return [{"name": name, "mountPath": path} for name, path in paths.items()]


def resources(requests: Mapping[str, str], limits: Mapping[str, str]) -> Object:
    """Return what a container is given, and what it cannot exceed."""
    return {"requests": dict(requests), "limits": dict(limits)}
