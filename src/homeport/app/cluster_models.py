"""Models between a gateway and the nodes of a cluster: how a gateway describes them, and where a node keeps them.

A node looks for a model in its own store first. What comes from other nodes is in `<home>/cluster/models`, a store for
each digest, so that two versions of one model never meet.
"""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from homeport import settings as configuration
from homeport.app import options
from homeport.app.model_changes import pull_model
from homeport.app.models import served_store
from homeport.cluster.model_description import ModelDescription, ModelFile
from homeport.cluster.ray.nodes import replica_ports
from homeport.domain.content import attach
from homeport.domain.errors import Unavailable
from homeport.domain.models import InstalledModel
from homeport.domain.operations import NullProgress
from homeport.domain.weight_layouts import ORIGINAL
from homeport.domain.worker_messages import EngineSpec
from homeport.models import catalogue
from homeport.models.manifest import Manifest
from homeport.models.model_store import ModelStore
from homeport.serving.options import ServingOptions
from homeport.serving.workers.engine_entry_points import entry_point
from homeport.serving.workers.frames import LaunchMessage
from homeport.settings import Settings

NODE_MODELS = "homeport.app.cluster_models:node_models"
"""The name by which a replica finds `node_models`."""

_DIGEST_CHARS = 16


def describe_model(store: ModelStore, model: InstalledModel) -> tuple[ModelDescription, dict[str, str]]:
    """Describe an installed model and those that it needs; also return the paths of all files, by SHA-256.

    Raises ModelNotFound, or Unavailable if the model has changed since.
    """
    manifest = store.manifest(model.facts.name)
    by_name = {file.name: file for file in manifest.all_files}
    stored = tuple(by_name[path.name] for path in model.files.values() if path.name in by_name)
    served = msgspec.structs.replace(manifest, files=stored, layouts=(), active=ORIGINAL)
    if served.digest != model.digest:
        raise Unavailable(f"The files of `{model.facts.name}` have changed: try again.")
    paths = {by_name[path.name].sha256: str(path) for path in model.files.values()}
    needs = []
    entry = catalogue.built_in().find(model.facts.name)
    for name in entry.needs if entry else ():
        needed = store.find(name)
        if needed is None:
            raise Unavailable(f"{model.facts.name} needs {name}, which is not installed: run `homeport pull {name}`.")
        description, needed_paths = describe_model(store, needed)
        needs.append(description)
        paths |= needed_paths
    description = ModelDescription(
        facts=model.facts,
        digest=model.digest,
        manifest=msgspec.json.encode(served),
        files=tuple(ModelFile(file.name, file.size, file.sha256) for file in stored),
        needs=tuple(needs),
        memory_bytes=model.facts.size_bytes,
    )
    return description, paths


class SettingsNodeModels:
    """The models of a node, as its settings say. Implements `cluster.node_models.NodeModels`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._own = served_store(settings)
        self._folder = settings.home / "cluster" / "models"
        self._stores: dict[str, ModelStore] = {}

    @property
    def options(self) -> ServingOptions:
        """How the node supervises workers."""
        return options.serving_options(self._settings)

    @property
    def spool(self) -> Path:
        """A folder for the files of requests."""
        return self._settings.home / "cluster" / "spool"

    @property
    def ports(self) -> range:
        """The ports on which replicas may listen."""
        return replica_ports(self._settings.cluster_ports)

    def find(self, description: ModelDescription) -> InstalledModel | None:
        """Return the model if the node has exactly these files."""
        for store in (self._own, ModelStore(self._settings.home, ORIGINAL), self._store(description.digest)):
            found = store.find(description.name)
            if found is not None and found.digest == description.digest:
                self._stores[description.digest] = store
                return found
        return None

    def folder(self, description: ModelDescription) -> Path:
        """Return the folder that files from other nodes are written to."""
        folder = self._store(description.digest).folder(description.name)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def install(self, description: ModelDescription) -> InstalledModel:
        """Install a model whose files are in `folder`."""
        store = self._store(description.digest)
        self._stores[description.digest] = store
        return store.commit(msgspec.json.decode(description.manifest, type=Manifest))

    def pull(self, description: ModelDescription) -> InstalledModel:
        """Fetch the model from the catalogue's sources. Raises Unavailable if these exact files are not there."""
        store = self._store(description.digest)
        pulled = pull_model(self._settings, description.name, NullProgress(), store=store)
        if pulled.digest != description.digest:
            store.remove(description.name)
            raise Unavailable(f"The catalogue's sources have other files of {description.name} than the gateway.")
        self._stores[description.digest] = store
        return pulled

    def launch_message(self, model: InstalledModel, needs: Mapping[str, InstalledModel]) -> LaunchMessage:
        """Return what a worker of the model is launched with."""
        files = dict(model.files)
        for name, needed in needs.items():
            files |= {f"{name}/{role}": path for role, path in needed.files.items()}
        spec = EngineSpec(
            engine=model.facts.engine,
            model=model.facts.name,
            files=attach(files),
            digest=model.digest,
            options=dict(options.engine_options(self._settings, self._stores[model.digest], model)),
        )
        return LaunchMessage(entry_point(model.facts.engine), spec, self.options.frame_bytes)

    def _store(self, digest: str) -> ModelStore:
        return ModelStore(self._folder / digest[:_DIGEST_CHARS], ORIGINAL)


def node_models() -> SettingsNodeModels:
    """Return the models of the node that this process runs on, whose settings it has in its environment."""
    return SettingsNodeModels(configuration.load())
