"""`/v1/models`: what can be asked for, under its real names and under OpenAI's.

Knows nothing of files. Beside OpenAI's fields of 2023 and today, each entry tells what clients otherwise guess:
window (also under the name vLLM's clients read), modalities, capabilities, licence, and, once loaded, the kernels
and the device that run it.
"""

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response

from homeport.api.json_response import JsonResponse
from homeport.api.paging import render_list
from homeport.api.services import Services, registry, services
from homeport.domain.errors import Forbidden, excerpt
from homeport.domain.models import InstalledModel

OWNER = "homeport"


def listed(request: Request) -> Mapping[str, InstalledModel]:
    """What the caller may ask, in the order of a list: the models, then the aliases that the operator wants listed."""
    known = registry(request)
    found = {model.facts.name: model for model in known.models()}
    wanted = services(request).list_aliases
    shown = [alias for alias in known.aliases() if wanted == "all" or (wanted == "common" and alias.is_common)]
    aliases = {alias.name: found[alias.target] for alias in shown if alias.target in found}
    return {**found, **{name: model for name, model in aliases.items() if name not in found}}


async def list_models(request: Request) -> Response:
    """List every installed model, then aliases."""
    house = services(request)
    return render_list(_render_model(house, *entry) for entry in listed(request).items())


async def retrieve(request: Request) -> Response:
    """Describe one model. Raises ModelNotFound."""
    house = services(request)
    name = request.path_params["model"]
    return JsonResponse(_render_model(house, name, registry(request).resolve(name, "").served_model))


async def delete(request: Request) -> Response:
    """Delete a fine-tuned model, under its own name. Raises Forbidden for any other."""
    name = request.path_params["model"]
    models = registry(request)
    found = models.resolve(name, "").served_model
    real = found.facts.name
    if found.parent and name == real:
        models.remove(name)
        return JsonResponse({"id": name, "object": "model", "deleted": True})
    raise Forbidden(
        f"You have insufficient permissions for this operation: only fine-tuned models can be deleted here, and "
        f"`{excerpt(name)}` is not one. To remove it from this machine, run `homeport rm {real}`.",
        param="model",
        code="insufficient_permissions",
    )


def _render_model(house: Services, name: str, model: InstalledModel) -> dict[str, object]:
    facts = model.facts
    runs = model.parent or facts.name
    loaded = house.serving.loaded(runs)
    window = loaded.window if loaded else facts.window
    entry: dict[str, object] = {
        "id": name,
        "object": "model",
        "created": facts.created,
        "owned_by": OWNER,
        "permission": [_permission(name, facts.created)],
        "root": runs,
        "parent": model.parent,
        "context_window": window,
        "max_model_len": window,
        "modalities": facts.modalities,
        "capabilities": facts.capabilities,
        "licence": facts.licence,
        "size_bytes": facts.size_bytes,
        "layout": model.layout,
        "loaded": loaded is not None,
    }
    if loaded:
        entry |= {"kernels": loaded.kernels, "device": loaded.device, "notes": loaded.notes}
    return entry


def _permission(name: str, created: int) -> dict[str, object]:
    return {
        "id": f"modelperm-{name}",
        "object": "model_permission",
        "created": created,
        "allow_create_engine": False,
        "allow_sampling": True,
        "allow_logprobs": True,
        "allow_search_indices": False,
        "allow_view": True,
        "allow_fine_tuning": False,
        "organization": "*",
        "group": None,
        "is_blocking": False,
    }
