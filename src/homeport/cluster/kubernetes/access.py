"""Who may reach what: the Secrets that operators fill in, and the NetworkPolicies that close Ray's ports."""

from homeport.cluster.kubernetes.gateways import GATEWAY, KEY_FILE
from homeport.cluster.kubernetes.plan import (
    GATEWAY_SECRET,
    HTTP_PORT,
    KEYS_SECRET,
    NAME,
    TOKEN_KEY,
    TOKEN_SECRET,
    ManifestPlan,
    Object,
    all_pods,
    labels,
    metadata,
)
from homeport.cluster.kubernetes.ray_service import DASHBOARD_PORT

PLACEHOLDER = "REPLACE-ME"
"""No base64, so Kubernetes refuses a Secret that still has it: no cluster runs with a token that everybody knows."""

GATEWAY_VARIABLES = (
    "HOMEPORT_DATABASE_URL",
    "HOMEPORT_BLOBS",
    "HOMEPORT_API_KEYS",
    "HOMEPORT_ADMIN_KEY",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_REGION",
    "AWS_ENDPOINT_URL",
)


def token_secret(plan: ManifestPlan) -> Object:
    """Return the Secret of the cluster's token, which each node and gateway reads."""
    if plan.token is None:
        return _secret(plan, TOKEN_SECRET, TOKEN_KEY)
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": metadata(plan, TOKEN_SECRET),
        "type": "Opaque",
        "stringData": {TOKEN_KEY: plan.token},
    }


def keys_secret(plan: ManifestPlan) -> Object:
    """Return the Secret of the file with which the gateways hash keys."""
    return _secret(plan, KEYS_SECRET, KEY_FILE)


def gateway_secret(plan: ManifestPlan) -> Object:
    """Return the Secret of the gateways' variables: the database, the bucket, and the first keys."""
    return _secret(plan, GATEWAY_SECRET, *GATEWAY_VARIABLES)


def network_policies(plan: ManifestPlan) -> list[Object]:
    """Return policies: the Pods reach each other, KubeRay reaches the dashboard, and everybody the API."""
    operator: Object = {
        "namespaceSelector": {},
        "podSelector": {"matchLabels": {"app.kubernetes.io/name": "kuberay-operator"}},
    }
    inside: list[Object] = [
        {"from": [{"podSelector": {"matchLabels": all_pods()}}]},
        {"from": [operator], "ports": [{"protocol": "TCP", "port": DASHBOARD_PORT}]},
    ]
    outside = [{"ports": [{"protocol": "TCP", "port": HTTP_PORT}]}]
    return [
        _policy(plan, f"{NAME}-cluster", all_pods(), inside),
        _policy(plan, GATEWAY, labels("gateway"), outside),
    ]


def _policy(plan: ManifestPlan, name: str, pods: dict[str, str], ingress: list[Object]) -> Object:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": metadata(plan, name),
        "spec": {"podSelector": {"matchLabels": pods}, "policyTypes": ["Ingress"], "ingress": ingress},
    }


def _secret(plan: ManifestPlan, name: str, *keys: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": metadata(plan, name),
        "type": "Opaque",
        "data": dict.fromkeys(keys, PLACEHOLDER),
    }
