"""`/admin/v1`: what an operator sees and does. Only for holders of an admin's key; for anyone else it is not there.

Knows nothing of how workers are run.
"""

from starlette.requests import Request
from starlette.responses import Response

from homeport.api.json_response import JsonResponse
from homeport.api.services import services
from homeport.domain.errors import NotFound, Unavailable, excerpt
from homeport.domain.ports.serving import WorkerOperations


async def list_workers(request: Request) -> Response:
    """List the models in memory and how their workers stand."""
    return JsonResponse({"object": "list", "data": _operations(request).status()})


async def stop(request: Request) -> Response:
    """Unload a model, named by its real name or an alias. Raises ModelNotFound, or Missing where it is not loaded."""
    name = request.path_params["model"]
    real = services(request).registry.resolve(name, "").model.facts.name
    if not await _operations(request).stop(real):
        raise NotFound(f"The model `{excerpt(name)}` is not loaded.", param="model", code="model_not_loaded")
    return JsonResponse({"model": real, "object": "worker", "stopped": True})


def _operations(request: Request) -> WorkerOperations:
    operations = services(request).operations
    if operations is None:
        raise Unavailable("This server's workers cannot be managed over HTTP.")
    return operations
