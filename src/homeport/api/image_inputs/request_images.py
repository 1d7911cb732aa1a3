"""The image inputs of an HTTP request: with its model, its project's files, and the hosts that may be reached."""

import functools
from pathlib import Path

from starlette.requests import Request

from homeport.api.image_inputs.checks import too_large
from homeport.api.image_inputs.collection import MAX_IMAGE_BYTES, ImageInputs
from homeport.api.image_inputs.vision import check_vision
from homeport.api.services import caller, registry, services
from homeport.domain.errors import NotFound
from homeport.domain.models import ResolvedModel
from homeport.domain.ports.store import FileRepository


def images_of(request: Request, resolved: ResolvedModel | None = None, max_bytes: int = MAX_IMAGE_BYTES) -> ImageInputs:
    """Return what collects the images of a request. `resolved`: a text model, which must see them; `max_bytes`: of one.

    The result is a context, which deletes the images' files at its end.
    """

    def check_model(place: str, kind: str) -> None:
        if resolved is not None:
            check_vision(resolved, registry(request), place, kind)

    server = services(request)
    copy_file = functools.partial(_copy_file, server.files, caller(request).project) if server.files else None
    return ImageInputs(server.spool, check_model, copy_file, server.remote_images, max_bytes)


def _copy_file(files: FileRepository, project: str, file_id: str, target: Path, param: str, max_bytes: int) -> None:
    """Copy an uploaded image. Raises NotFound, and InvalidRequest for one that is too large."""
    try:
        file = files.get(project, file_id)
    except NotFound as error:
        raise NotFound(error.message, param=param, code=error.code) from error
    if file.bytes > max_bytes:
        raise too_large(param, max_bytes)
    files.copy(file, target)
