"""A manifest as text: one YAML document for each object, each with a comment that says what it is for."""

from collections.abc import Sequence

import yaml

from homeport.cluster.kubernetes import access, gateways, ray_service
from homeport.cluster.kubernetes.plan import ManifestPlan, Object

_WIDTH = 200
_HEADER = """\
# A Homeport cluster for Kubernetes, made by `homeport cluster manifest`. docs/cluster.md describes it.
# It needs KubeRay 1.6 or newer, and Kubernetes 1.29 or newer.
"""


def render(plan: ManifestPlan) -> str:
    """Return the manifest. It holds the token if the plan does."""
    documents = (f"{_comment(text)}{_dump(each)}" for text, each in describe_objects(plan))
    return _HEADER + "".join(f"---\n{document}" for document in documents)


def describe_objects(plan: ManifestPlan) -> Sequence[tuple[str, Object]]:
    """Return all objects in the order in which they are created, each with what an operator should know of it."""
    filled_in = f"Replace each {access.PLACEHOLDER} by a value in base64; Kubernetes refuses this object until then."
    risk = "The token of the cluster: a caller who has it and reaches a Pod can run programs in it."
    bucket = "The AWS variables are those of the bucket; remove what yours does not need."
    return [
        (risk if plan.token else f"{risk} {filled_in} A token: `openssl rand -hex 32`.", access.token_secret(plan)),
        (f"32 random bytes with which keys are hashed; keep a copy. {filled_in}", access.keys_secret(plan)),
        (
            f"The gateways' database (PostgreSQL), bucket and first keys. {filled_in} {bucket}",
            access.gateway_secret(plan),
        ),
        ("What the cluster was asked to run; it outlives the head.", ray_service.head_claim(plan)),
        ("The nodes. KubeRay runs them.", ray_service.ray_service(plan)),
        ("The gateways, which serve the API.", gateways.deployment(plan)),
        (
            "The API inside of this Kubernetes cluster; for others, set an Ingress with TLS before it.",
            gateways.service(plan),
        ),
        *(("How many Pods may be moved at once.", each) for each in gateways.disruption_budgets(plan)),
        *(
            ("Ray's ports are for Pods of the cluster, the API for everybody.", each)
            for each in access.network_policies(plan)
        ),
    ]


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as blocks, and repeats what YAML could refer to."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - the interface of yaml
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)


def _dump(value: Object) -> str:
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, width=_WIDTH)


def _comment(text: str) -> str:
    return f"# {text}\n"
