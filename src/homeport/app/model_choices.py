"""What can be pulled and what fits this machine, and which text model is the default one."""

from collections.abc import Mapping

import psutil

from homeport.app.models import model_registry, served_store
from homeport.domain.errors import InvalidRequest, ModelNotFound
from homeport.domain.kinds import IMAGE_EMBEDDINGS, TEXT
from homeport.domain.model_choices import DefaultModel, ModelChoice, ModelChoices, ModelOffer
from homeport.models import catalogue, memory_needs
from homeport.models.catalogue_entry import CatalogueEntry
from homeport.models.default_model import RecordedDefault
from homeport.settings import Settings

_CLIP = "clip"


def list_catalogue(settings: Settings) -> ModelChoices:
    """List the catalogue's models with their sizes, and what fits into the memory that is available now."""
    memory = psutil.virtual_memory()
    installed = set(served_store(settings).names())
    choices = (_choice(entry, memory.available, installed) for entry in catalogue.built_in().models)
    return ModelChoices(tuple(choices), memory.available, memory.total)


def describe_choice(name: str) -> Mapping[str, object] | None:
    """Describe a model of the catalogue that need not be installed; None for an unknown name."""
    entry = catalogue.built_in().find(name)
    if entry is None:
        return None
    need = memory_needs.memory_bytes(entry.size_bytes, entry.kv_bytes, entry.window)
    described = {
        "name": entry.name,
        "installed": f"no: run `homeport pull {entry.name}`",
        "summary": entry.summary,
        "kind": entry.kind,
        "family": entry.family,
        "tools": entry.tools,
        "reasoning": entry.reasoning,
        "window": entry.window,
        "capabilities": list(entry.capabilities),
        "licence": str(entry.licence),
        "size_bytes": entry.size_bytes or "unknown",
        "memory_bytes": need or "unknown",
        "tested": entry.is_tested,
        "sources": [f"{source.hub}:{source.repo}" if source.repo else source.hub for source in entry.sources],
        "files": [file.path for file in entry.sources[0].files],
    }
    return {key: value for key, value in described.items() if value is not None}


def default_model(settings: Settings) -> DefaultModel | None:
    """Return the model that OpenAI's text model names resolve to, and why; None if no text model is installed."""
    name = model_registry(settings).defaults.get(TEXT)
    store = served_store(settings)
    if name is None or store.find(name) is None:
        return None
    if settings.default_model:
        return DefaultModel(name, "the setting default_model")
    if name in settings.models:
        return DefaultModel(name, "the setting models")
    is_recorded = name == RecordedDefault(settings.home).read()
    return DefaultModel(name, "chosen with `homeport use`" if is_recorded else "no other was chosen")


def record_default_model(settings: Settings, name: str) -> None:
    """Make an installed text model the default one, also for running servers and after restarts.

    Raises ModelNotFound, or InvalidRequest for a model that does not chat or belongs to a project.
    """
    model = served_store(settings).find(name)
    if model is None:
        raise ModelNotFound(f"The model `{name}` is not installed.")
    if "chat" not in model.facts.capabilities:
        raise InvalidRequest(
            f"`{name}` is for {', '.join(model.facts.capabilities) or model.facts.kind}: only a model that chats can "
            "be the default."
        )
    if model.project is not None:
        raise InvalidRequest(f"`{name}` belongs to the project {model.project}, so it cannot be everybody's default.")
    RecordedDefault(settings.home).write(name)


def offer(settings: Settings, default: str) -> ModelOffer | None:
    """Return the next larger tested model of the default model's family, if it is installed or can be pulled."""
    larger = catalogue.built_in().next_size(default)
    if larger is None:
        return None
    is_installed = served_store(settings).find(larger.name) is not None
    return ModelOffer(larger.name, larger.size_bytes, is_installed) if is_installed or not settings.offline else None


def _choice(entry: CatalogueEntry, available: int, installed: set[str]) -> ModelChoice:
    sizes = (entry.size_bytes, entry.kv_bytes, entry.window)
    return ModelChoice(
        name=entry.name,
        kind=entry.kind,
        summary=entry.summary,
        licence=str(entry.licence),
        family=entry.family,
        window=entry.window,
        file_bytes=entry.size_bytes,
        memory_bytes=memory_needs.memory_bytes(*sizes),
        fitting_window=memory_needs.fitting_window(*sizes, available),
        tools=entry.tools,
        reasoning=entry.reasoning,
        is_tested=entry.is_tested,
        is_installed=entry.name in installed,
    )


def image_embedding_model(settings: Settings) -> str:
    """Return the model that embeds images if none is named: installed, or one that is tested.

    Of installed ones, that which `clip` stands for comes first. Raises ModelNotFound, which names models to pull.
    """
    registry = model_registry(settings)
    installed = [model.facts.name for model in registry.models() if IMAGE_EMBEDDINGS in model.facts.capabilities]
    targets = [alias.target for alias in registry.aliases() if alias.name == _CLIP]
    entries = [entry for entry in catalogue.built_in().models if IMAGE_EMBEDDINGS in entry.capabilities]
    tested = [entry.name for entry in entries if entry.is_tested]
    names: list[str] = [*targets, *installed, *([] if settings.offline else tested)]
    if names:
        return names[0]
    commands = " or ".join(f"`homeport pull {entry.name}`" for entry in entries)
    raise ModelNotFound(f"No model that embeds images is installed. Run {commands}.", param="model")
