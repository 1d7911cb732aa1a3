"""The model registry, the model store and the kernel library that the settings ask for."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from homeport.domain.weight_layouts import ORIGINAL
from homeport.models import catalogue
from homeport.models.kernels import find_installed_kernels
from homeport.models.model_store import ModelStore
from homeport.models.registry import InstalledModelRegistry
from homeport.settings import Settings

TEXT_KIND = "text"
IMAGES_FOLDER = "pictures"


def model_registry(settings: Settings) -> InstalledModelRegistry:
    """The names as these settings have them.

    OpenAI's stand, in each kind, for the default model, the first one served, the catalogue's own, or the one there is.
    """
    known, store = catalogue.built_in(), served_store(settings)
    defaults: dict[str, str] = {}
    starters = [found for name in known.starters if (found := store.find(name))]
    served = [found for name in settings.models if (found := store.find(name))]
    for model in (*served, *starters, *(model for model in store.installed() if model.parent is None)):
        defaults.setdefault(model.facts.kind, model.facts.name)
    if settings.default_model:
        defaults[TEXT_KIND] = settings.default_model
    return InstalledModelRegistry(store, known, defaults=defaults, overrides=settings.aliases)


def served_store(settings: Settings) -> ModelStore:
    """The models as they are to be loaded."""
    return ModelStore(settings.home, None if settings.layout == "auto" else ORIGINAL)


def kernel_library(settings: Settings) -> Path | None:
    """Return the kernel library to load: the configured one, else the installed one; None: the wheel's."""
    return settings.llama_lib or find_installed_kernels(settings.home)


def fine_tuned_sizes(settings: Settings) -> Mapping[str, int]:
    """The bytes of each project's fine-tuned models."""
    found: Counter[str] = Counter()
    for model in served_store(settings).installed():
        if model.project is not None:
            found[model.project] += model.facts.size_bytes
    return found
