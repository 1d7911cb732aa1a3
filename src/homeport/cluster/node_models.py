"""The interface of a node to its models: where their files are, and how a worker of one is launched.

`app` implements it from the node's own settings and home. A replica finds the implementation by its name
(`module:function`), so nothing of a gateway's machine reaches a node.
"""

import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol, cast

from homeport.cluster.model_description import ModelDescription
from homeport.domain.models import InstalledModel
from homeport.serving.options import ServingOptions
from homeport.serving.workers.frames import LaunchMessage


class NodeModels(Protocol):
    """What a replica asks of the node that it runs on."""

    @property
    def options(self) -> ServingOptions:
        """How the node supervises workers."""
        ...

    @property
    def spool(self) -> Path:
        """A folder for the files of requests."""
        ...

    @property
    def ports(self) -> range:
        """The ports on which replicas may listen; empty: any."""
        ...

    def find(self, description: ModelDescription) -> InstalledModel | None:
        """Return the model if the node has exactly these files."""
        ...

    def folder(self, description: ModelDescription) -> Path:
        """Return the folder that files from other nodes are written to; created if necessary."""
        ...

    def install(self, description: ModelDescription) -> InstalledModel:
        """Install a model whose files are in `folder`."""
        ...

    def pull(self, description: ModelDescription) -> InstalledModel:
        """Fetch the model from the catalogue's sources. Raises Unavailable if these exact files are not there."""
        ...

    def launch_message(self, model: InstalledModel, needs: Mapping[str, InstalledModel]) -> LaunchMessage:
        """Return what a worker of the model is launched with. `needs`: the models that its engine also reads."""
        ...


def find_node_models(name: str) -> NodeModels:
    """Return what the `module:function` of this name makes."""
    module, _, function = name.partition(":")
    make = cast("Callable[[], NodeModels]", getattr(importlib.import_module(module), function))
    return make()
