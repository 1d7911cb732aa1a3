"""A gateway of a cluster: serving on its replicas in place of worker processes of this machine."""

from functools import partial

from homeport.app import options
from homeport.app.cluster_models import describe_model
from homeport.app.clusters import find_cluster
from homeport.cluster.cluster_serving import ClusterServing
from homeport.models.model_store import ModelStore
from homeport.serving.background_loops import BackgroundLoops
from homeport.settings import Settings


class GatewayServing(ClusterServing):
    """`ClusterServing` on the cluster of the settings. Raises what `find_cluster` raises."""

    def __init__(self, settings: Settings, store: ModelStore, loops: BackgroundLoops) -> None:
        address, token_file, host = find_cluster(settings)
        from homeport.cluster.ray.ray_replicas import RayReplicas  # imports Ray, for which the process is prepared now

        url = settings.database_url or ""
        self._ray_replicas = RayReplicas(
            address,
            token_file,
            host,
            partial(describe_model, store),
            is_database_shared=url.startswith("postgres"),
        )
        super().__init__(self._ray_replicas, options.serving_options(settings), loops=loops)

    async def start(self) -> None:
        """Connect to the cluster and accept requests. Raises what `RayReplicas.start` raises."""
        await self._ray_replicas.start()
        await super().start()

    async def close(self) -> None:
        """End the links to all replicas, which stay, and the connection to the cluster."""
        await super().close()
        await self._ray_replicas.close()
