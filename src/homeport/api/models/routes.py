"""`/v1/models`: list and describe the models that the caller may use, and delete fine-tuned ones.

Models are listed under their own names and under the aliases that the operator lists. Knows nothing of files.
"""

from collections.abc import Mapping

from msgspec import UNSET, UnsetType
from starlette.requests import Request
from starlette.responses import Response

from homeport.api.chat.joined_models import HEARS, SPEAKER, TRANSCRIBER, find_joined
from homeport.api.files.render import DeletedObject
from homeport.api.json_response import JsonResponse
from homeport.api.models.anthropic_list import VERSION_HEADER, list_for_anthropic
from homeport.api.models.render import ChatAudio, ModelObject, render_model, runs_as
from homeport.api.paging import render_list
from homeport.api.services import registry, services
from homeport.domain.errors import Forbidden, excerpt
from homeport.domain.models import InstalledModel


def list_by_name(request: Request) -> Mapping[str, InstalledModel]:
    """Return the models that the caller may use by name, then those aliases that the operator lists."""
    models = registry(request)
    by_name = {model.facts.name: model for model in models.models()}
    mode = services(request).list_aliases
    shown = [alias for alias in models.aliases() if mode == "all" or (mode == "common" and alias.is_common)]
    aliases = {alias.name: by_name[alias.target] for alias in shown if alias.target in by_name}
    return {**by_name, **{name: model for name, model in aliases.items() if name not in by_name}}


async def list_models(request: Request) -> Response:
    """List every model, then aliases; for Anthropic's clients those that chat, in their format."""
    if VERSION_HEADER in request.headers:
        return list_for_anthropic(request, list_by_name(request))
    joined = _joined(request)
    return render_list(_render(request, *entry, joined) for entry in list_by_name(request).items())


async def retrieve(request: Request) -> Response:
    """Describe a model. Raises ModelNotFound."""
    name = request.path_params["model"]
    model = registry(request).resolve(name, "").served_model
    return JsonResponse(_render(request, name, model, _joined(request)))


async def delete(request: Request) -> Response:
    """Delete a fine-tuned model by its own name. Raises Forbidden for any other model."""
    name = request.path_params["model"]
    models = registry(request)
    model = models.resolve(name, "").served_model
    own_name = model.facts.name
    if model.parent and name == own_name:
        models.remove(name)
        return JsonResponse(DeletedObject(id=name, object="model"))
    raise Forbidden(
        f"You have insufficient permissions for this operation: only fine-tuned models can be deleted here, and "
        f"`{excerpt(name)}` is not one. To remove it from this machine, run `homeport rm {own_name}`.",
        param="model",
        code="insufficient_permissions",
    )


def _render(request: Request, name: str, model: InstalledModel, joined: ChatAudio) -> ModelObject:
    return render_model(name, model, services(request).serving.loaded(runs_as(model)), _audio(model, joined))


def _joined(request: Request) -> ChatAudio:
    """Return the models through which the caller's chats hear and speak."""
    return ChatAudio(
        input=find_joined(request, TRANSCRIBER) or UNSET,
        output=find_joined(request, SPEAKER) or UNSET,
    )


def _audio(model: InstalledModel, joined: ChatAudio) -> ChatAudio | UnsetType:
    """Return how a model hears and speaks."""
    capabilities = model.facts.capabilities
    if "chat" not in capabilities:
        return UNSET
    audio = ChatAudio(input=model.facts.name, output=joined.output) if HEARS in capabilities else joined
    return UNSET if audio.input is UNSET and audio.output is UNSET else audio
