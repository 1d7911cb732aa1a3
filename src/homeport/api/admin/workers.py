"""`/admin/v1`: listing and stopping workers. Without an admin key the paths do not exist.

Knows nothing of how workers are run.
"""

from starlette.requests import Request
from starlette.responses import Response

from homeport.api.json_response import JsonResponse
from homeport.api.paging import render_list
from homeport.api.services import services
from homeport.domain.errors import NotFound, excerpt

_STOP_WAIT_S = 30.0
"""How long a model's requests may take to end before it is unloaded."""


async def list_workers(request: Request) -> Response:
    """List the models in memory and the state of their workers."""
    return render_list(services(request).serving.worker_status())


async def stop(request: Request) -> Response:
    """Unload a model, named by its real name or an alias. Raises ModelNotFound, or NotFound if it is not loaded."""
    name = request.path_params["model"]
    real = services(request).registry.resolve(name, "").model.facts.name
    if not await services(request).serving.stop(real, _STOP_WAIT_S):
        raise NotFound(f"The model `{excerpt(name)}` is not loaded.", param="model", code="model_not_loaded")
    return JsonResponse({"model": real, "object": "worker", "stopped": True})
