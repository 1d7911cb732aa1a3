"""Pulling and optimizing a model with the settings, for the CLI and for the jobs of a server."""

from functools import partial

import msgspec

from homeport.app import native_probes
from homeport.app.models import kernel_library, served_store
from homeport.app.options import pull_options
from homeport.domain.kinds import TEXT
from homeport.domain.models import InstalledModel
from homeport.domain.operations import ProgressReporter
from homeport.domain.weight_layouts import OptimizeOptions, OptimizeResult
from homeport.models import catalogue, weight_layouts
from homeport.models import pull as pulling
from homeport.models.model_store import ModelStore
from homeport.settings import Settings


def pull_model(
    settings: Settings,
    reference: str,
    progress: ProgressReporter,
    projector: str | None = None,
    *,
    accepts_licence: bool = False,
    store: ModelStore | None = None,
) -> InstalledModel:
    """Pull a model. Returns at once if it is installed and complete. `projector` and others: as in `PullOptions`."""
    options = msgspec.structs.replace(pull_options(settings), projector=projector, accepts_licence=accepts_licence)
    return pulling.pull(reference, store or served_store(settings), options, progress)


def optimize_model(
    settings: Settings,
    name: str,
    options: OptimizeOptions,
    progress: ProgressReporter,
    store: ModelStore | None = None,
) -> OptimizeResult:
    """Requantize a model for this CPU, to the fastest layout measured or the one in `options`."""
    library = kernel_library(settings)
    options = msgspec.structs.replace(
        options,
        library=str(library) if library else None,
        threads=settings.threads,
        gpu_layers=settings.gpu_layers,
    )
    measure = partial(native_probes.benchmark_layouts, on_message=progress.message)
    return weight_layouts.find_best_layout(store or ModelStore(settings.home), name, options, measure, progress)


def is_optimized_by_default(reference: str) -> bool:
    """Whether a reference names a model that is optimized when it is pulled: a tested text model of the catalogue."""
    entry = catalogue.built_in().find(reference)
    return entry is not None and entry.kind == TEXT and entry.is_tested
