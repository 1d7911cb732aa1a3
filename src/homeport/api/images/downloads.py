"""`GET /images/{name}`: the pictures that answers name by URL, for whoever knows the name, until they expire."""

import asyncio

from starlette.requests import Request
from starlette.responses import Response

from homeport.api.services import services
from homeport.domain.errors import NotFound

_KINDS = {"png": "image/png", "jpeg": "image/jpeg", "webp": "image/webp"}


async def fetch(request: Request) -> Response:
    """Send a picture. Raises NotFound for one that never was, or is no more."""
    name = request.path_params["name"]
    data = await asyncio.to_thread(services(request).images.find, name)
    if data is None:
        raise NotFound("This picture does not exist, or its URL has expired.", code="not_found")
    kind = _KINDS[name.rpartition(".")[2]]
    return Response(data, media_type=kind, headers={"cache-control": "private", "x-content-type-options": "nosniff"})
