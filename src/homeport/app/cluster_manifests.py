"""The manifest of a cluster on Kubernetes, from the settings and what the command was asked for."""

from homeport.app.cluster_models import NODE_MODELS
from homeport.cluster.kubernetes.manifest import render
from homeport.cluster.kubernetes.plan import ManifestPlan
from homeport.domain.clusters import ManifestOptions
from homeport.domain.errors import InvalidRequest
from homeport.settings import Settings


def render_manifest(settings: Settings, options: ManifestOptions) -> str:
    """Return the manifest, with the token if the settings name its file. Raises InvalidRequest for a useless file."""
    return render(
        ManifestPlan(
            options=options,
            node_models=NODE_MODELS,
            first_port=settings.cluster_ports,
            drain_s=settings.drain_s,
            models=settings.models,
            token=_read_token(settings),
        )
    )


def _read_token(settings: Settings) -> str | None:
    path = settings.cluster_token_file
    if path is None:
        return None
    try:
        token = path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"The cluster's token cannot be read from {path}: {error}") from error
    if not token:
        raise InvalidRequest(f"{path} is empty; it must hold the cluster's token.")
    return token
