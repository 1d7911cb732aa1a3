"""A node's models for tests: scripted ones in its home, and the real ones as the server finds them."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import msgspec

from homeport import settings as configuration
from homeport.app.cluster_models import SettingsNodeModels
from homeport.cluster.model_description import ModelDescription, ModelFile
from homeport.domain.content import attach
from homeport.domain.errors import Unavailable
from homeport.domain.models import InstalledModel, ModelFacts
from homeport.domain.worker_messages import EngineSpec
from homeport.serving.options import ServingOptions
from homeport.serving.workers.frames import LaunchMessage

NAME = "tests.cluster.ray.scripted_node:node_models"
ENTRY = "tests.serving.scripted_engine:load"
SLOTS = 4
WEIGHTS = "weights.bin"


class ScriptedNodeModels(SettingsNodeModels):
    """Scripted models are in `<home>/scripted/<digest>`; a model named `broken…` does not load."""

    @property
    def options(self) -> ServingOptions:
        """Few slots, so that little demand needs several replicas."""
        return msgspec.structs.replace(super().options, slots=SLOTS, heartbeat_s=0.2)

    def find(self, description: ModelDescription) -> InstalledModel | None:
        """Return the model if the node has its file."""
        if description.facts.engine != "scripted":
            return super().find(description)
        model = installed(description.facts, self._scripted(description), description.digest)
        file = model.files["weights"]
        return model if file.is_file() and file.stat().st_size == description.files[0].size else None

    def folder(self, description: ModelDescription) -> Path:
        """Return the folder of a model's file."""
        if description.facts.engine != "scripted":
            return super().folder(description)
        folder = self._scripted(description)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def install(self, description: ModelDescription) -> InstalledModel:
        """Return the model whose file has arrived."""
        if description.facts.engine != "scripted":
            return super().install(description)
        return installed(description.facts, self._scripted(description), description.digest)

    def pull(self, description: ModelDescription) -> InstalledModel:
        """No catalogue has a scripted model."""
        if description.facts.engine != "scripted":
            return super().pull(description)
        raise Unavailable("no catalogue has it")

    def launch_message(self, model: InstalledModel, needs: Mapping[str, InstalledModel]) -> LaunchMessage:
        """Launch the scripted engine, or the real one."""
        if model.facts.engine != "scripted":
            return super().launch_message(model, needs)
        options = {"load": "abort" if model.facts.name.startswith("broken") else None}
        return LaunchMessage(
            ENTRY, EngineSpec("scripted", model.facts.name, attach(model.files), model.digest, dict(options))
        )

    def _scripted(self, description: ModelDescription) -> Path:
        return self._settings.home / "scripted" / description.digest


def installed(facts: ModelFacts, folder: Path, digest: str) -> InstalledModel:
    """Return a scripted model whose file is in a folder."""
    return InstalledModel(facts=facts, files={"weights": folder / WEIGHTS}, digest=digest)


def make_model(folder: Path, name: str, content: bytes = b"") -> InstalledModel:
    """Write a scripted model into a folder."""
    content = content or name.encode()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / WEIGHTS).write_bytes(content)
    facts = ModelFacts(name=name, kind="text", engine="scripted", size_bytes=len(content))
    return installed(facts, folder, hashlib.sha256(content).hexdigest())


def describe(model: InstalledModel) -> tuple[ModelDescription, dict[str, str]]:
    """Describe a scripted model for nodes; also return the path of its file, by SHA-256."""
    file = model.files["weights"]
    description = ModelDescription(
        facts=model.facts,
        digest=model.digest,
        manifest=b"",
        files=(ModelFile(WEIGHTS, file.stat().st_size, model.digest),),
        memory_bytes=model.facts.size_bytes,
    )
    return description, {model.digest: str(file)}


def node_models() -> ScriptedNodeModels:
    """Return the models of the node that this process runs on."""
    return ScriptedNodeModels(configuration.load())
