"""The composition root: settings in, one running server (or one finished command) out.

The only module that knows every room. It builds, connects and names; whatever has a rule of its own lives in a room.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import cast

import msgspec

from homeport.app import (
    admin_commands,
    doctor,
    fine_tuning,
    native_probes,
)
from homeport.app.models import IMAGES_FOLDER, TEXT_KIND, fine_tuned_sizes, kernel_library, model_registry, served_store
from homeport.app.server import check_settings as check_settings
from homeport.app.server import serve as serve
from homeport.domain.errors import InvalidRequest, Unavailable
from homeport.domain.keys import IssuedKey, NewKey
from homeport.domain.models import Alias, InstalledModel
from homeport.domain.operations import Finding, ProgressReporter
from homeport.domain.storage import ProjectUsage
from homeport.domain.training import TrainingEvent as TuningTold
from homeport.domain.training import TrainingRequest
from homeport.domain.weight_layouts import OptimizeOptions, OptimizeResult
from homeport.formats import gguf_reader
from homeport.models import catalogue, weight_layouts
from homeport.models import pull as pulling
from homeport.models.kernels import Variant
from homeport.models.kernels import has_kernels as has_unpacked_kernels
from homeport.models.kernels import install_kernels as unpack_kernels
from homeport.models.model_store import ModelStore
from homeport.models.pull_options import PullOptions
from homeport.models.sources import reachability
from homeport.settings import Settings
from homeport.store.images import ImageFolder

admin = admin_commands
_REACH_S = 5.0
_IMAGES, _DEFAULT_IMAGE_ALIAS = "images", "dall-e-2"


def missing_models(settings: Settings) -> Sequence[str]:
    """Give what `serve` must fetch first: models asked for and not installed; the starters if there is none at all."""
    store = ModelStore(settings.home)
    wanted = settings.models
    if not wanted and not store.names():
        wanted = catalogue.built_in().starters
    return [reference for reference in wanted if not store.find(reference)]


def pull_model(settings: Settings, reference: str, progress: ProgressReporter) -> InstalledModel:
    """Fetch a model; at once if it is installed and whole."""
    options = PullOptions(
        offline=settings.offline,
        hubs=settings.hub_order,
        hf_endpoint=settings.hf_endpoint,
        hf_token=settings.hf_token,
        ms_endpoint=settings.ms_endpoint,
        ms_token=settings.ms_token,
        template_fault=lambda source: native_probes.template(source).fault,
    )
    return pulling.pull(reference, served_store(settings), options, progress)


def optimize_model(
    settings: Settings, name: str, options: OptimizeOptions, progress: ProgressReporter
) -> OptimizeResult:
    """Lay a model's weights out for this CPU, as measured, or as asked; give what became of it."""
    library = kernel_library(settings)
    options = msgspec.structs.replace(options, library=str(library) if library else None, threads=settings.threads)
    measure = partial(native_probes.benchmark_layouts, on_message=progress.message)
    return weight_layouts.find_best_layout(ModelStore(settings.home), name, options, measure, progress)


def finetune(
    settings: Settings, training_request: TrainingRequest, on_event: Callable[[TuningTold], None]
) -> InstalledModel:
    """Train a model on a file, here and now, and install what comes of it; the same order goes on where it was cut."""
    return fine_tuning.train_locally(
        settings, training_request, model_registry(settings), kernel_library(settings), on_event
    )


def is_starter(reference: str) -> bool:
    """Whether a reference names a text model of the catalogue: these are optimised when they are fetched."""
    entry = catalogue.built_in().find(reference)
    return entry is not None and entry.kind == TEXT_KIND


def list_models(settings: Settings) -> Sequence[InstalledModel]:
    """List the installed models."""
    return served_store(settings).installed()


def list_aliases(settings: Settings) -> Sequence[Alias]:
    """List the names that stand for installed models."""
    return model_registry(settings).aliases()


def default_image_model(settings: Settings) -> str:
    """Name the model that paints where none is named. Raises ModelNotFound, telling which can be fetched."""
    known = model_registry(settings)
    return known.defaults.get(_IMAGES) or known.resolve(_DEFAULT_IMAGE_ALIAS, _IMAGES).model.facts.name


def describe_model(settings: Settings, name: str) -> Mapping[str, object]:
    """Tell everything known of an installed model. Raises ModelNotFound."""
    made = ModelStore(settings.home).manifest(name)
    found = msgspec.to_builtins(made.facts)
    files = [f"{file.name}  {file.size} bytes  sha256 {file.sha256}" for file in made.all_files]
    tried = [f"{kept.trial}; on {kept.kernels}, {kept.machine}" for kept in made.layouts]
    source = f"{made.source}{f' at {made.revision}' if made.revision else ''}"
    names = [alias.name for alias in list_aliases(settings) if alias.target == name]
    found |= {"parent": made.parent.name} if made.parent else {}
    if made.facts.kind == TEXT_KIND and not made.parent:
        model = made.to_installed(ModelStore(settings.home).folder(name))
        try:
            found["template"] = native_probes.template_lines(gguf_reader.read(model.files["weights"]).template)
        except InvalidRequest as error:
            found["template"] = [error.message]
    return {**found, "source": source, "layout": made.active, "layouts": tried, "files": files, "aliases": names}


def create_key(settings: Settings, new_key: NewKey) -> IssuedKey:
    """Make a key; it opens the models that its aliases stand for now. Raises InvalidRequest, ModelNotFound."""
    known = model_registry(settings)
    models = tuple(dict.fromkeys(known.resolve(name, "").served_model.facts.name for name in new_key.models))
    return admin_commands.create_key(settings, msgspec.structs.replace(new_key, models=models))


def remove_model(settings: Settings, name: str) -> int:
    """Delete a model's files; give the bytes freed."""
    store = ModelStore(settings.home)
    freed = sum(file.size for file in store.manifest(name).all_files) if store.find(name) else 0
    store.remove(name)
    return freed


def list_project_storage(settings: Settings) -> Sequence[ProjectUsage]:
    """What every project keeps, in the database and beside it."""
    pictures = ImageFolder(settings.home / IMAGES_FOLDER, settings.picture_url_s)
    return admin_commands.list_project_storage(settings, pictures.sizes, partial(fine_tuned_sizes, settings))


def install_kernels(settings: Settings, variant: str, file: Path | None, progress: ProgressReporter) -> str:
    """Install kernels (`cpu`, `cuda`, `vulkan`), fetched by npm or from a file; give their description."""
    unpack_kernels(settings.home, cast("Variant", variant), file, progress, offline=settings.offline)
    return describe_kernels(settings)


def has_kernels(settings: Settings, flavour: str) -> bool:
    """Tell whether kernels of this release, or of another flavour than this, are installed."""
    return has_unpacked_kernels(settings.home, cast("Variant", flavour))


def describe_kernels(settings: Settings) -> str:
    """Describe the kernels that would be used. Raises Unavailable where they do not load."""
    return native_probes.kernels(kernel_library(settings))


def diagnose(settings: Settings, *, online: bool) -> Iterator[Finding]:
    """Examine the machine and the installation, one finding at a time. Touches the network only if `online`."""
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
    if reason := reachability.unreachable_reason(endpoint, _REACH_S):
        raise Unavailable(f"{endpoint} cannot be reached: {reason}")
    return f"{endpoint} answers"
