"""`/v1/engines`: the listing that `/v1/models` replaced, which clients of 2023 still call.

Knows nothing that `models` does not. Every installed model is `ready`: it loads when it is asked.
"""

from starlette.requests import Request
from starlette.responses import Response

from homeport.api.json_response import JsonResponse
from homeport.api.models import OWNER, listed
from homeport.api.paging import render_list
from homeport.api.services import registry


async def list_engines(request: Request) -> Response:
    """List the same names as engines."""
    return render_list(map(_engine, listed(request)))


async def retrieve(request: Request) -> Response:
    """Describe one engine. Raises ModelNotFound."""
    name = request.path_params["engine"]
    registry(request).resolve(name, "")
    return JsonResponse(_engine(name))


def _engine(name: str) -> dict[str, object]:
    return {"id": name, "object": "engine", "created": None, "owner": OWNER, "permissions": None, "ready": True}
