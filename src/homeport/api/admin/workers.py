"""`/admin/v1/workers`: list and unload loaded models. Without an admin key the path is unknown."""

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from homeport.api.json_response import JsonResponse
from homeport.api.paging import render_list
from homeport.api.services import services
from homeport.domain.errors import NotFound, excerpt

_STOP_WAIT_S = 30.0
"""How long a model's requests may take to end before it is unloaded."""


class StoppedWorkerObject(msgspec.Struct, kw_only=True):
    """A worker that was stopped."""

    model: str
    object: str = "worker"
    stopped: bool = True


async def list_workers(request: Request) -> Response:
    """List the workers of loaded models, with their state."""
    return render_list(services(request).serving.worker_status())


async def stop(request: Request) -> Response:
    """Unload a model, by its name or an alias. Raises ModelNotFound, or NotFound if it is not loaded."""
    name = request.path_params["model"]
    model = services(request).registry.resolve(name, "").model.facts.name
    if not await services(request).serving.stop(model, _STOP_WAIT_S):
        raise NotFound(f"The model `{excerpt(name)}` is not loaded.", param="model", code="model_not_loaded")
    return JsonResponse(StoppedWorkerObject(model=model))
