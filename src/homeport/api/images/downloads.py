"""Images under URLs of this server: `GET /images/{name}` serves them to callers that know the name."""

import asyncio

from starlette.requests import Request
from starlette.responses import Response

from homeport.api.services import caller, services
from homeport.domain.errors import NotFound
from homeport.domain.images import ImageFormat

_MEDIA_TYPES = {"png": "image/png", "jpeg": "image/jpeg", "webp": "image/webp"}


class ImageLinks:
    """Stores the images of one request under URLs."""

    def __init__(self, request: Request) -> None:
        self._store = services(request).images
        self._base_url = str(request.base_url)
        self._project = caller(request).project

    async def create(self, data: bytes, format: ImageFormat) -> str:
        """Store an image; return its URL. Raises StorageFull."""
        name = await asyncio.to_thread(self._store.save, data, format, self._project)
        return f"{self._base_url}images/{name}"


async def fetch(request: Request) -> Response:
    """Send an image. Raises NotFound if it never existed or has expired."""
    name = request.path_params["name"]
    data = await asyncio.to_thread(services(request).images.find, name)
    if data is None:
        raise NotFound("This image does not exist, or its URL has expired.", code="not_found")
    media_type = _MEDIA_TYPES[name.rpartition(".")[2]]
    return Response(data, media_type=media_type, headers={"cache-control": "private"})
