"""`/v1/batches`: create, list, describe and cancel batches. A project sees only its own batches."""

import asyncio

from starlette.requests import Request
from starlette.responses import Response

from homeport.api.batches.convert import to_new_batch
from homeport.api.batches.render import render_batch
from homeport.api.batches.schema import BatchBody
from homeport.api.files.routes import check_room, file_repository
from homeport.api.json_response import JsonResponse
from homeport.api.paging import PageQuery, parse_page, render_page
from homeport.api.request_body import read_json
from homeport.api.services import caller, services
from homeport.domain.errors import InvalidRequest, NotFound, Unavailable
from homeport.domain.ports.store import BatchRepository

MAX_PAGE_SIZE = 100
_PURPOSE = "batch"


async def create(request: Request) -> Response:
    """Create a batch of a file, whose lines are checked and run later."""
    new_batch = to_new_batch(await read_json(request, BatchBody), caller(request))
    await _check_file(request, new_batch.input_file_id)
    await check_room(request, 1)
    return JsonResponse(render_batch(await asyncio.to_thread(batch_repository(request).create, new_batch)))


async def list_batches(request: Request) -> Response:
    """List the project's batches, newest first."""
    query = parse_page(request, PageQuery, max_limit=MAX_PAGE_SIZE)
    page = await asyncio.to_thread(
        batch_repository(request).list_page, caller(request).project, query.to_page_request()
    )
    return render_page(page, render_batch)


async def retrieve(request: Request) -> Response:
    """Describe a batch. Raises NotFound."""
    project, batch_id = caller(request).project, request.path_params["batch_id"]
    return JsonResponse(render_batch(await asyncio.to_thread(batch_repository(request).get, project, batch_id)))


async def cancel(request: Request) -> Response:
    """Cancel a batch; completed results are kept. Raises NotFound, or InvalidRequest for one that has ended."""
    project, batch_id = caller(request).project, request.path_params["batch_id"]
    return JsonResponse(render_batch(await asyncio.to_thread(batch_repository(request).cancel, project, batch_id)))


async def _check_file(request: Request, file_id: str) -> None:
    """Check that the input is a file of this project with the right purpose. Raises InvalidRequest."""
    try:
        file = await asyncio.to_thread(file_repository(request).get, caller(request).project, file_id)
    except NotFound as error:
        raise InvalidRequest(error.message, param="input_file_id", code="file_not_found") from error
    if file.purpose != _PURPOSE:
        raise InvalidRequest(
            f"Invalid 'input_file_id': {file.id} has the purpose '{file.purpose}', not '{_PURPOSE}'.",
            param="input_file_id",
            code="invalid_file_purpose",
        )


def batch_repository(request: Request) -> BatchRepository:
    """Return the server's batches. Raises Unavailable if it stores none."""
    batches = services(request).batches
    if batches is None:
        raise Unavailable("This server does not store batches.")
    return batches
