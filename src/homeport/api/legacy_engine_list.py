"""`/v1/engines`: the list that `/v1/models` replaced, which clients of 2023 still request.

Every installed model is `ready`, because a request loads it.
"""

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from homeport.api.json_response import JsonResponse
from homeport.api.models.render import OWNER
from homeport.api.models.routes import list_by_name
from homeport.api.paging import render_list
from homeport.api.services import registry


class EngineObject(msgspec.Struct, kw_only=True):
    """A model, as 2023's API lists engines."""

    id: str
    object: str = "engine"
    created: None = None
    owner: str = OWNER
    permissions: None = None
    ready: bool = True


async def list_engines(request: Request) -> Response:
    """List the same names as `/v1/models`."""
    return render_list(EngineObject(id=name) for name in list_by_name(request))


async def retrieve(request: Request) -> Response:
    """Describe an engine. Raises ModelNotFound."""
    name = request.path_params["engine"]
    registry(request).resolve(name, "")
    return JsonResponse(EngineObject(id=name))
