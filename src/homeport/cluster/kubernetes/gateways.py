"""The gateways: a Deployment, its Service, and what limits disruptions.

Ray connects a process through a node on the same machine, so each Pod also has a container that is a node without
processors for models: it starts before the server, and ends after it.
"""

from homeport.cluster.kubernetes.plan import (
    ALL_ADDRESSES,
    GATEWAY_SECRET,
    HOME,
    HTTP_PORT,
    KEYS_SECRET,
    NAME,
    SHARED_MEMORY,
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

GATEWAY = f"{NAME}-gateway"
KEY_FILE = "key-secret"
"""The file of the home with which keys are hashed; all gateways need the same one."""

_LEAVE_S = 5  # until proxies no longer send requests to a Pod that ends
_MARGIN_S = 20


def deployment(plan: ManifestPlan) -> Object:
    """Return the Deployment. A Pod that ends gets as long as its requests may take to finish."""
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata(plan, GATEWAY),
        "spec": {
            "replicas": plan.options.gateways,
            "selector": {"matchLabels": labels("gateway")},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
            "template": {"metadata": {"labels": labels("gateway")}, "spec": _pod(plan)},
        },
    }


def service(plan: ManifestPlan) -> Object:
    """Return the Service: the API, without TLS, inside of the Kubernetes cluster."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(plan, NAME),
        "spec": {
            "selector": labels("gateway"),
            "ports": [{"name": "http", "port": 80, "targetPort": "http"}],
        },
    }


def disruption_budgets(plan: ManifestPlan) -> list[Object]:
    """Return budgets: of gateways, and of workers, one at a time is moved. The last one of a kind may always be."""
    budgets = [_budget(plan, GATEWAY, "gateway", {"maxUnavailable": 1})]
    workers = plan.options.workers + plan.options.gpu_workers
    if workers > 1:
        # Kubernetes accepts only a number of available Pods if they belong to no kind of its own.
        budgets.append(_budget(plan, f"{NAME}-worker", "worker", {"minAvailable": workers - 1}))
    return budgets


def _budget(plan: ManifestPlan, name: str, component: str, limit: dict[str, int]) -> Object:
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": metadata(plan, name),
        "spec": {**limit, "selector": {"matchLabels": labels(component)}},
    }


def _pod(plan: ManifestPlan) -> Object:
    spread = {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": labels("gateway")},
    }
    return {
        "enableServiceLinks": False,
        "automountServiceAccountToken": False,
        "shareProcessNamespace": True,  # the server looks for its node's process
        "securityContext": pod_security(),
        "terminationGracePeriodSeconds": plan.drain_seconds + _LEAVE_S + _MARGIN_S,
        "topologySpreadConstraints": [spread],
        "initContainers": [_upgrade(plan), _node(plan)],
        "containers": [_server(plan)],
        "volumes": [
            {"name": "home", "emptyDir": {}},
            {"name": "shared-memory", "emptyDir": {"medium": "Memory", "sizeLimit": "128Mi"}},
            {"name": "keys", "secret": {"secretName": KEYS_SECRET, "defaultMode": 0o440}},
        ],
    }


def _upgrade(plan: ManifestPlan) -> Object:
    return {
        "name": "database",
        "image": plan.options.image,
        "command": ["homeport", "db", "upgrade"],
        "env": variables(plan),
        "envFrom": [{"secretRef": {"name": GATEWAY_SECRET}}],
        "securityContext": container_security(),
        "volumeMounts": mounts(home=HOME),
    }


def _node(plan: ManifestPlan) -> Object:
    command = ["homeport", "cluster", "join", plan.head, "--host", "$(POD_IP)", "--cpus", "0", "--gpus", "0"]
    return {
        "name": "node",
        "image": plan.options.image,
        "restartPolicy": "Always",
        "command": command,
        "env": [*variables(plan), token_variable("HOMEPORT_CLUSTER_TOKEN")],
        "startupProbe": {
            "exec": {"command": ["test", "-f", f"{HOME}/cluster/node.json"]},
            "periodSeconds": 2,
            "failureThreshold": 150,
        },
        "resources": resources({"cpu": "250m", "memory": "512Mi"}, {"memory": "1Gi"}),
        "securityContext": container_security(),
        "volumeMounts": mounts(**{"home": HOME, "shared-memory": SHARED_MEMORY}),
    }


def _server(plan: ManifestPlan) -> Object:
    models = [word for model in plan.models for word in ("--model", model)]
    return {
        "name": "gateway",
        "image": plan.options.image,
        "command": ["homeport", "serve", "--host", ALL_ADDRESSES, "--port", str(HTTP_PORT), *models],
        "env": variables(plan, HOMEPORT_CLUSTER=plan.head, HOMEPORT_DRAIN_S=str(plan.drain_seconds)),
        "envFrom": [{"secretRef": {"name": GATEWAY_SECRET}}],
        "ports": [{"name": "http", "containerPort": HTTP_PORT}],
        "readinessProbe": http_probe("/health/ready", HTTP_PORT, period_s=5, failures=2),
        "livenessProbe": http_probe("/health/live", HTTP_PORT, period_s=10, failures=6),
        "startupProbe": http_probe("/health/live", HTTP_PORT, period_s=5, failures=360),  # it may pull models first
        "lifecycle": {"preStop": {"exec": {"command": ["sleep", str(_LEAVE_S)]}}},
        "resources": resources({"cpu": "500m", "memory": "1Gi"}, {"memory": "2Gi"}),
        "securityContext": container_security(),
        "volumeMounts": [
            *mounts(**{"home": HOME, "shared-memory": SHARED_MEMORY}),
            {"name": "keys", "mountPath": f"{HOME}/{KEY_FILE}", "subPath": KEY_FILE, "readOnly": True},
        ],
    }
