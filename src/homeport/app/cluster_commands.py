"""The commands on clusters, as the CLI calls them. Imports nothing of a cluster before one of them runs."""

from collections.abc import Callable

from homeport.domain.clusters import ClusterReport, ManifestOptions, NodeOptions, RunningNode, ScalingLimits
from homeport.settings import Settings


def run_node(settings: Settings, options: NodeOptions, announce: Callable[[RunningNode], None]) -> None:
    """Run this machine's node until SIGTERM or SIGINT. Call `announce` when it is part of the cluster."""
    from homeport.app import clusters

    clusters.run_node(settings, options, announce)


def read_status(settings: Settings) -> ClusterReport:
    """Return the nodes and replicas of the cluster."""
    from homeport.app import clusters

    return clusters.read_status(settings)


def drain_node(settings: Settings, node: str) -> None:
    """Let a node's replicas move elsewhere after their requests; then the node leaves."""
    from homeport.app import clusters

    clusters.drain_node(settings, node)


def scale_model(settings: Settings, name: str, limits: ScalingLimits) -> None:
    """Set how many replicas a model may have."""
    from homeport.app import clusters

    clusters.scale_model(settings, name, limits)


def render_manifest(settings: Settings, options: ManifestOptions) -> str:
    """Return the manifest of a cluster on Kubernetes."""
    from homeport.app import cluster_manifests

    return cluster_manifests.render_manifest(settings, options)
