"""The model store, the model registry and the kernel library that the settings choose."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from homeport.domain.errors import Unavailable
from homeport.domain.kinds import TEXT
from homeport.domain.models import InstalledModel
from homeport.domain.weight_layouts import ORIGINAL
from homeport.models import catalogue
from homeport.models.default_model import RecordedDefault
from homeport.models.kernels import find_installed_kernels
from homeport.models.model_store import ModelStore
from homeport.models.recorded_aliases import RecordedAliases
from homeport.models.registry import InstalledModelRegistry
from homeport.settings import Settings


def model_registry(settings: Settings) -> InstalledModelRegistry:
    """The registry of installed models, with the default models and aliases of the settings.

    The default of each kind is `default_model` (for text), else the first of `models`, else the recorded one (for
    text), else a starter, else any installed model that is not fine-tuned.
    """
    known, store = catalogue.built_in(), served_store(settings)
    defaults: dict[str, str] = {}
    starters = [model for name in known.starters if (model := store.find(name))]
    served = [model for name in settings.models if (model := store.find(name))]
    for model in (*served, *starters, *(model for model in store.installed() if model.parent is None)):
        defaults.setdefault(model.facts.kind, model.facts.name)
    if settings.default_model:
        defaults[TEXT] = settings.default_model
    is_set = settings.default_model is not None or any(model.facts.kind == TEXT for model in served)
    recorded = (lambda: None) if is_set else RecordedDefault(settings.home).read
    return InstalledModelRegistry(
        store,
        known,
        defaults=defaults,
        overrides=settings.aliases,
        recorded=recorded,
        edited=RecordedAliases(settings.home).overrides,
    )


def served_store(settings: Settings) -> ModelStore:
    """The model store, with each model in the layout that is served."""
    return ModelStore(settings.home, None if settings.layout == "auto" else ORIGINAL)


def kernel_library(settings: Settings) -> Path | None:
    """The kernel library to load: the configured one, else the installed one; None: the wheel's."""
    return settings.llama_lib or find_installed_kernels(settings.home)


def engine_files(store: ModelStore, model: InstalledModel) -> Mapping[str, Path]:
    """A model's own files by role, and those of the models it needs as `<model>/<role>`.

    Raises Unavailable if a needed model is not installed.
    """
    files = dict(model.files)
    entry = catalogue.built_in().find(model.facts.name)
    for name in entry.needs if entry else ():
        needed = store.find(name)
        if needed is None:
            raise Unavailable(f"{model.facts.name} needs {name}, which is not installed: run `homeport pull {name}`.")
        files |= {f"{name}/{role}": path for role, path in needed.files.items()}
    return files


def fine_tuned_sizes(settings: Settings) -> Mapping[str, int]:
    """The size of each project's fine-tuned models, in bytes."""
    sizes: Counter[str] = Counter()
    for model in served_store(settings).installed():
        if model.project is not None:
            sizes[model.project] += model.facts.size_bytes
    return sizes
