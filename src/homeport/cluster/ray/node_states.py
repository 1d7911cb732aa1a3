"""What Ray knows of the nodes, and how a node is drained. Both block."""

import ray
from ray._raylet import GcsClient
from ray.core.generated import autoscaler_pb2

from homeport.domain.clusters import NodeReport

_HEAD = "node:__internal_head__"


def node_reports(drained: frozenset[str]) -> tuple[NodeReport, ...]:
    """Return the nodes that live. `drained`: those that are being drained."""
    reports = []
    for node in ray.nodes():
        if not node["Alive"]:
            continue
        resources = node["Resources"]
        reports.append(
            NodeReport(
                id=node["NodeID"],
                address=node["NodeManagerAddress"],
                name=node["NodeManagerHostname"],
                cpus=resources.get("CPU", 0.0),
                gpus=resources.get("GPU", 0.0),
                memory_bytes=int(resources.get("memory", 0)),
                state="draining" if node["NodeID"] in drained else "alive",
                is_head=_HEAD in resources,
            )
        )
    return tuple(sorted(reports, key=lambda report: (not report.is_head, report.address)))


def drain(node_id: str) -> str | None:
    """Ask Ray to give a node nothing new, and Serve to move what it has. Returns why Ray refuses."""
    client = GcsClient(address=ray.get_runtime_context().gcs_address)
    reason = autoscaler_pb2.DrainNodeReason.Value("DRAIN_NODE_REASON_PREEMPTION")
    is_accepted, refusal = client.drain_node(node_id, reason, "drained by its operator", 0)
    return None if is_accepted else str(refusal)
