"""What the handlers of `/admin/v1/models` share: the parts that a server may lack, and bodies that may be absent."""

from typing import TypeVar

from starlette.requests import Request

from homeport.api.request_body import is_json, read_json
from homeport.api.services import services
from homeport.domain.errors import Unavailable
from homeport.domain.ports.model_library import ModelLibrary
from homeport.serving.model_jobs.service import ModelJobService

T = TypeVar("T")
_MISSING = "This server does not manage models over HTTP."


def model_library(request: Request) -> ModelLibrary:
    """Return the models of this machine. Raises Unavailable."""
    library = services(request).library
    if library is None:
        raise Unavailable(_MISSING)
    return library


def model_jobs(request: Request) -> ModelJobService:
    """Return the jobs of this server. Raises Unavailable."""
    jobs = services(request).model_jobs
    if jobs is None:
        raise Unavailable(_MISSING)
    return jobs


async def read_optional(request: Request, kind: type[T]) -> T:
    """Read a JSON body as `kind`; without a body, return its defaults. Raises what `read_json` raises."""
    headers = request.headers
    has_body = headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
    if not has_body and not (is_json(request) and await request.body()):
        return kind()
    return await read_json(request, kind)
