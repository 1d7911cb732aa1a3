"""The models of a node of the benchmark: what the tests' scripted models are, with the engine that sleeps."""

from collections.abc import Mapping

from bench.cluster.failures import ENGINE
from bench.cluster.model import OPTIONS, launch_message
from homeport import settings as configuration
from homeport.domain.models import InstalledModel
from homeport.serving.options import ServingOptions
from homeport.serving.workers.frames import LaunchMessage
from tests.cluster.ray.scripted_node import ScriptedNodeModels

NAME = "bench.cluster.ray_models:node_models"


class SleepingNodeModels(ScriptedNodeModels):
    """Every scripted model sleeps."""

    @property
    def options(self) -> ServingOptions:
        """Those of the gateway."""
        return OPTIONS

    def launch_message(self, model: InstalledModel, needs: Mapping[str, InstalledModel]) -> LaunchMessage:  # noqa: ARG002
        """Launch the engine."""
        return launch_message(ENGINE, model.facts.name, model.digest)


def node_models() -> SleepingNodeModels:
    """Return the models of the node that this process runs on."""
    return SleepingNodeModels(configuration.load())
