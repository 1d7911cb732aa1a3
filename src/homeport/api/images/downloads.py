"""Images and shapes under URLs of this server: `GET /images/{name}` and `/shapes/{name}` serve them by their names."""

import asyncio
from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response

from homeport.api.services import caller, services
from homeport.domain.errors import NotFound
from homeport.domain.images import ImageFormat
from homeport.domain.shapes import ShapeFormat

_IMAGES: Mapping[str, str] = {"png": "image/png", "jpeg": "image/jpeg", "webp": "image/webp"}
_SHAPES: Mapping[str, str] = {"ply": "model/ply", "glb": "model/gltf-binary", "json": "application/json"}


class FileLinks:
    """Stores the images or shapes of one request under URLs."""

    def __init__(self, request: Request) -> None:
        self._store = services(request).images
        self._base_url = str(request.base_url)
        self._project = caller(request).project

    async def create(self, data: bytes, format: ImageFormat | ShapeFormat) -> str:
        """Store a file; return its URL. Raises StorageFull."""
        name = await asyncio.to_thread(self._store.save, data, format, self._project)
        folder = "shapes" if isinstance(format, ShapeFormat) else "images"
        return f"{self._base_url}{folder}/{name}"


async def fetch_image(request: Request) -> Response:
    """Send an image. Raises NotFound if it never existed or has expired."""
    return await _fetch(request, "image", _IMAGES)


async def fetch_shape(request: Request) -> Response:
    """Send a shape. Raises NotFound if it never existed or has expired."""
    return await _fetch(request, "shape", _SHAPES)


async def _fetch(request: Request, what: str, media_types: Mapping[str, str]) -> Response:
    name = request.path_params["name"]
    media_type = media_types.get(name.rpartition(".")[2])
    data = await asyncio.to_thread(services(request).images.find, name) if media_type else None
    if data is None:
        raise NotFound(f"This {what} does not exist, or its URL has expired.", code="not_found")
    return Response(data, media_type=media_type, headers={"cache-control": "private"})
