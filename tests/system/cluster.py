"""The cluster on which the servers of the system tests run their models with `pytest --cluster`.

It has three nodes and is started once; each server is a gateway with a database of its own. Knows nothing of the tests.
"""

import importlib.util
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from homeport.app.cluster_models import NODE_MODELS
from homeport.cluster.scaling import ScalingPolicy
from homeport.domain.errors import HomeportError
from homeport.store import migration
from homeport.store.database import Database
from tests import postgres_server
from tests.cluster.ray.local_cluster import LocalCluster

NODE_SETTINGS = {
    "HOMEPORT_THREADS": "1",
    "HOMEPORT_LAYOUT": "original",
    "HOMEPORT_RETAIN": "0",
    "HOMEPORT_PROMPTS": "off",
}
"""Of the nodes, in place of those that a test gives its server: equal requests take equal steps."""

_running: "SystemCluster | None" = None


class SystemCluster:
    """Three nodes without models. `database_server`: the URL of a PostgreSQL server."""

    def __init__(self, folder: Path, database_server: str) -> None:
        self._nodes = LocalCluster(folder, NODE_MODELS, ScalingPolicy(), NODE_SETTINGS)
        self._database_server = database_server

    @contextmanager
    def gateway(self) -> Iterator[Mapping[str, str]]:
        """Yield the settings of one more gateway. The cluster refuses a second one with a database of SQLite."""
        with postgres_server.new_database(self._database_server) as url:
            database = Database(url)
            migration.upgrade(database)
            database.close()
            yield {
                "HOMEPORT_CLUSTER": self._nodes.address,
                "HOMEPORT_CLUSTER_TOKEN_FILE": str(self._nodes.token_file),
                "HOMEPORT_DATABASE_URL": url,
            }

    def start(self) -> None:
        """Start the nodes."""
        self._nodes.start()

    def stop(self) -> None:
        """End the nodes, and delete the models that they have copied."""
        self._nodes.stop()
        shutil.rmtree(self._nodes.folder)


def is_possible() -> bool:
    """Whether Ray is installed."""
    return importlib.util.find_spec("ray") is not None


def running_cluster() -> SystemCluster | None:
    """Return the cluster of this session; None without `--cluster`."""
    return _running


@contextmanager
def started(folder: Path) -> Iterator[None]:
    """Run a cluster, on which servers that start within the context run their models."""
    global _running
    with postgres_server.serve() as database_server:
        cluster = SystemCluster(folder, database_server)
        try:
            try:
                cluster.start()
            except (HomeportError, AssertionError) as error:
                pytest.exit(f"the cluster did not start: {error}", 1)  # every test would fail with the same words
            _running = cluster
            yield
        finally:
            _running = None
            cluster.stop()
