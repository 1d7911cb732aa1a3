"""What the CLI calls: each function takes the settings and runs one command, or one server.

Composition only: it builds parts from the settings and connects them. Rules are in the rooms below.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import cast

import msgspec

from homeport.app import admin_commands, cluster_commands, doctor, fine_tuning, model_choices, native_probes
from homeport.app.model_changes import is_optimized_by_default as is_optimized_by_default
from homeport.app.model_changes import optimize_model as optimize_model
from homeport.app.model_changes import pull_model as pull_model
from homeport.app.model_choices import default_model as default_model
from homeport.app.model_choices import image_embedding_model as image_embedding_model
from homeport.app.model_choices import list_catalogue as list_catalogue
from homeport.app.model_choices import record_default_model as record_default_model
from homeport.app.models import kernel_library, model_registry, served_store
from homeport.app.server import check_settings as check_settings
from homeport.app.server import serve as serve
from homeport.domain.errors import InvalidRequest, Unavailable
from homeport.domain.kinds import IMAGES, SHAPES, TEXT
from homeport.domain.models import Alias, InstalledModel, ToolCheck
from homeport.domain.operations import Finding, ProgressReporter
from homeport.domain.thumbnails import Thumbnail
from homeport.domain.training import TrainingEvent, TrainingRequest
from homeport.formats import gguf_reader
from homeport.models import catalogue, kernels
from homeport.models.kernels import Variant
from homeport.models.model_store import ModelStore
from homeport.models.sources import reachability
from homeport.settings import Settings

admin = admin_commands
clusters = cluster_commands
_REACH_TIMEOUT_S = 5.0
_DEFAULT_IMAGE_ALIAS = "dall-e-2"
_DEFAULT_SHAPE_ALIAS = "point-e"


def missing_models(settings: Settings) -> Sequence[str]:
    """List what `serve` must pull first: models of the settings that are not installed; all starters if none is."""
    store = ModelStore(settings.home)
    references = settings.models
    if not references and not store.names():
        references = catalogue.built_in().starters
    return [reference for reference in references if not store.find(reference)]


def finetune(
    settings: Settings, training_request: TrainingRequest, on_event: Callable[[TrainingEvent], None]
) -> InstalledModel:
    """Train a model on a file and install the result; an interrupted request resumes."""
    return fine_tuning.train_locally(settings, training_request, on_event)


def list_models(settings: Settings) -> Sequence[InstalledModel]:
    """List the installed models."""
    return served_store(settings).installed()


def list_aliases(settings: Settings) -> Sequence[Alias]:
    """List the aliases of installed models."""
    return model_registry(settings).aliases()


def default_image_model(settings: Settings) -> str:
    """Return the image model that is used if none is named. Raises ModelNotFound, which names models to pull."""
    registry = model_registry(settings)
    default = registry.defaults.get(IMAGES)
    return default or registry.resolve(_DEFAULT_IMAGE_ALIAS, IMAGES).model.facts.name


def default_shape_model(settings: Settings) -> str:
    """Return the shape model that is used if none is named. Raises ModelNotFound, which names models to pull."""
    return model_registry(settings).resolve(_DEFAULT_SHAPE_ALIAS, SHAPES).model.facts.name


def make_thumbnail(file: Path, max_width: int, max_height: int) -> Thumbnail:
    """Return a small version of an image file. Raises InvalidRequest if it cannot be read as an image."""
    from homeport.engines import image_decoding  # the library that decodes is needed only here

    return image_decoding.make_thumbnail(file, max_width, max_height)


def describe_model(settings: Settings, name: str) -> Mapping[str, object]:
    """Describe an installed model: facts, template, source, layouts, files with hashes, aliases.

    Of a model that is not installed, describe what the catalogue says. Raises ModelNotFound.
    """
    store = ModelStore(settings.home)
    if not store.find(name) and (choice := model_choices.describe_choice(name)):
        return choice
    manifest = store.manifest(name)
    description: dict[str, object] = msgspec.to_builtins(manifest.facts)
    if manifest.parent:
        description["parent"] = manifest.parent.name
    elif manifest.facts.kind == TEXT:
        model = manifest.to_installed(store.folder(name))
        try:
            template = gguf_reader.read(model.files["weights"]).template
            description["template"] = native_probes.template_lines(template)
        except InvalidRequest as error:
            description["template"] = [error.message]
        description["prompts"] = doctor.describe_prompts(settings)
    return {
        **description,
        "source": f"{manifest.source}{f' at {manifest.revision}' if manifest.revision else ''}",
        "layout": manifest.active,
        "layouts": [f"{each.trial}; on {each.kernels}, {each.machine}" for each in manifest.layouts],
        "files": [f"{file.name}  {file.size} bytes  sha256 {file.sha256}" for file in manifest.all_files],
        "aliases": [alias.name for alias in list_aliases(settings) if alias.target == name],
    }


def check_tools(settings: Settings, name: str) -> ToolCheck:
    """Check how an installed model's chat template writes tool calls. Raises ModelNotFound and InvalidRequest."""
    store = ModelStore(settings.home)
    manifest = store.manifest(name)
    if manifest.parent:
        name, manifest = manifest.parent.name, store.manifest(manifest.parent.name)
    if manifest.facts.kind != TEXT:
        raise InvalidRequest(f"`{name}` is a model for {manifest.facts.kind}, which has no tool calls.")
    template = gguf_reader.read(manifest.to_installed(store.folder(name)).files["weights"]).template
    return native_probes.check_tools(template) if template else ToolCheck(fault="The model has no chat template.")


def remove_model(settings: Settings, name: str) -> int:
    """Delete a model's files; return the number of bytes freed."""
    store = ModelStore(settings.home)
    freed = sum(file.size for file in store.manifest(name).all_files) if store.find(name) else 0
    store.remove(name)
    return freed


def install_kernels(settings: Settings, variant: str, file: Path | None, progress: ProgressReporter) -> str:
    """Install kernels (`cpu`, `cuda`, `vulkan`), fetched by npm or from a file; return their description."""
    kernels.install_kernels(settings.home, cast("Variant", variant), file, progress, offline=settings.offline)
    return describe_kernels(settings)


def has_kernels(settings: Settings, variant: str) -> bool:
    """Whether kernels of this release, or of another variant than `variant`, are installed."""
    return kernels.has_kernels(settings.home, cast("Variant", variant))


def describe_kernels(settings: Settings) -> str:
    """Describe the kernels that a model would be loaded with. Raises Unavailable if they do not load."""
    return native_probes.describe_kernels(kernel_library(settings))


def diagnose(settings: Settings, *, online: bool) -> Iterator[Finding]:
    """Examine the machine and the installation, one finding at a time. Uses the network only if `online`."""
    store = ModelStore(settings.home)
    endpoints = {"hf": settings.hf_endpoint, "ms": settings.ms_endpoint}
    probes = doctor.Probes(
        kernels=lambda: describe_kernels(settings),
        models=store.installed,
        verify=lambda model: store.verify(model.facts.name),
        hubs=[hub for hub in settings.hub_order if hub in endpoints],
        reach=lambda hub: _check_reachable(endpoints[hub]),
    )
    return doctor.examine(settings, probes, online=online)


def _check_reachable(endpoint: str) -> str:
    if reason := reachability.unreachable_reason(endpoint, _REACH_TIMEOUT_S):
        raise Unavailable(f"{endpoint} cannot be reached: {reason}")
    return f"{endpoint} answers"
