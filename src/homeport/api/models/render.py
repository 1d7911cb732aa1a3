"""The JSON of a model: OpenAI's fields of 2023 and of today, and those of Homeport. Knows nothing of requests."""

from collections.abc import Sequence

import msgspec
from msgspec import UNSET, UnsetType

from homeport.domain.models import VOICE, InstalledModel, LoadedModel

OWNER = "homeport"


class ModelPermission(msgspec.Struct, kw_only=True):
    """A permission, as in 2023's API; always the same one."""

    id: str
    object: str = "model_permission"
    created: int
    allow_create_engine: bool = False
    allow_sampling: bool = True
    allow_logprobs: bool = True
    allow_search_indices: bool = False
    allow_view: bool = True
    allow_fine_tuning: bool = False
    organization: str = "*"
    group: None = None
    is_blocking: bool = False


class ChatAudio(msgspec.Struct, kw_only=True):
    """The models through which a model hears and speaks in chats; itself if it hears. Absent: it does not."""

    input: str | UnsetType = UNSET
    output: str | UnsetType = UNSET


class ModelObject(msgspec.Struct, kw_only=True):
    """A model. `root`: the model that runs; `max_model_len`: the window under vLLM's name.

    `kernels`, `device` and `notes` only while it is loaded, `device_bytes` if it then takes memory of GPUs, and `tools`
    and `reasoning` if it chats. `audio`: of a model that chats, if it hears or speaks. `voices`: those of a model that
    speaks, by their own names.
    """

    id: str
    object: str = "model"
    created: int
    owned_by: str = OWNER
    permission: tuple[ModelPermission]
    root: str
    parent: str | None
    context_window: int | None
    max_model_len: int | None
    modalities: Sequence[str]
    capabilities: Sequence[str]
    licence: str | None
    size_bytes: int
    layout: str | None
    loaded: bool
    kernels: str | UnsetType = UNSET
    prompts: str | UnsetType = UNSET
    device: str | UnsetType = UNSET
    device_bytes: int | UnsetType = UNSET
    notes: Sequence[str] | UnsetType = UNSET
    tools: str | UnsetType = UNSET
    reasoning: str | UnsetType = UNSET
    audio: ChatAudio | UnsetType = UNSET
    voices: Sequence[str] | UnsetType = UNSET


def render_model(
    name: str, model: InstalledModel, loaded: LoadedModel | None, audio: ChatAudio | UnsetType = UNSET
) -> ModelObject:
    """Render a model under a name. `loaded`: what its worker reports, if it is loaded."""
    facts = model.facts
    window = loaded.window if loaded else facts.window
    return ModelObject(
        id=name,
        created=facts.created,
        permission=(ModelPermission(id=f"modelperm-{name}", created=facts.created),),
        root=runs_as(model),
        parent=model.parent,
        context_window=window,
        max_model_len=window,
        modalities=facts.modalities,
        capabilities=facts.capabilities,
        licence=facts.licence,
        size_bytes=facts.size_bytes,
        layout=model.layout,
        loaded=loaded is not None,
        kernels=loaded.kernels if loaded else UNSET,
        prompts=(loaded.prompts or UNSET) if loaded else UNSET,
        device=loaded.device if loaded else UNSET,
        device_bytes=(loaded.device_bytes or UNSET) if loaded else UNSET,
        notes=loaded.notes if loaded else UNSET,
        tools=(loaded.tools or UNSET) if loaded else UNSET,
        reasoning=(loaded.reasoning or UNSET) if loaded else UNSET,
        audio=audio,
        voices=_voices(model) or UNSET,
    )


def runs_as(model: InstalledModel) -> str:
    """Return the name of the model that a worker loads for this one: the base model of a fine-tuned one."""
    return model.parent or model.facts.name


def _voices(model: InstalledModel) -> list[str]:
    return sorted(role.removeprefix(VOICE) for role in model.files if role.startswith(VOICE))
