"""`/v1/batches`: batches made, listed, looked at and cancelled. A project sees its own alone.

Knows nothing of how they are done.
"""

import asyncio

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from homeport.api.batches.schema import WINDOW, BatchBody
from homeport.api.files.routes import (
    check_room,
    file_repository,
)
from homeport.api.json_response import JsonResponse
from homeport.api.paging import PageQuery, parse_page, render_page
from homeport.api.request_body import read_json
from homeport.api.services import caller, services
from homeport.domain.batches import Batch
from homeport.domain.errors import InvalidRequest, NotFound, Unavailable
from homeport.domain.ports.store import BatchRepository

MAX_PAGE_SIZE = 100
_PURPOSE = "batch"


async def create(request: Request) -> Response:
    """Make a batch of a file; its lines are looked through and done later."""
    body = await read_json(request, BatchBody)
    body.check()
    asking = caller(request)
    await _check_file(request, body.input_file_id)
    await check_room(request, 1)
    batch = Batch(
        id="",
        project=asking.project,
        key=asking.key_id,
        endpoint=body.endpoint,
        input_file_id=body.input_file_id,
        status="",
        created_at=0,
        expires_at=0,
        metadata=body.metadata,
        keep_s=body.output_expires_after.seconds if body.output_expires_after else None,
    )
    return JsonResponse(render_batch(await asyncio.to_thread(_batch_repository(request).create, batch)))


async def list_batches(request: Request) -> Response:
    """List the project's batches, the newest first."""
    query = parse_page(request, PageQuery, max_limit=MAX_PAGE_SIZE)
    page = await asyncio.to_thread(
        _batch_repository(request).list_page, caller(request).project, query.to_page_request()
    )
    return render_page(page, render_batch)


async def retrieve(request: Request) -> Response:
    """Describe one batch. Raises NotFound."""
    project, batch_id = caller(request).project, request.path_params["batch_id"]
    return JsonResponse(render_batch(await asyncio.to_thread(_batch_repository(request).get, project, batch_id)))


async def cancel(request: Request) -> Response:
    """Have a batch end early, with what it has. Raises NotFound, or InvalidRequest for one that has ended."""
    project, batch_id = caller(request).project, request.path_params["batch_id"]
    return JsonResponse(render_batch(await asyncio.to_thread(_batch_repository(request).cancel, project, batch_id)))


def render_batch(batch: Batch) -> dict[str, object]:
    """A batch as the API tells of it."""
    errors = [msgspec.structs.asdict(error) for error in batch.errors]
    return {
        "id": batch.id,
        "object": "batch",
        "endpoint": batch.endpoint,
        "model": batch.model,
        "errors": {"object": "list", "data": errors} if errors else None,
        "input_file_id": batch.input_file_id,
        "completion_window": WINDOW,
        "status": batch.status,
        "output_file_id": batch.output_file_id,
        "error_file_id": batch.error_file_id,
        "created_at": batch.created_at,
        "in_progress_at": batch.in_progress_at,
        "expires_at": batch.expires_at,
        "finalizing_at": batch.finalizing_at,
        "completed_at": batch.completed_at,
        "failed_at": batch.failed_at,
        "expired_at": batch.expired_at,
        "cancelling_at": batch.cancelling_at,
        "cancelled_at": batch.cancelled_at,
        "request_counts": {"total": batch.total, "completed": batch.completed, "failed": batch.failed},
        "usage": {
            "input_tokens": batch.input_tokens,
            "input_tokens_details": {"cached_tokens": batch.cached_tokens},
            "output_tokens": batch.output_tokens,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": batch.input_tokens + batch.output_tokens,
        },
        "metadata": batch.metadata,
    }


async def _check_file(request: Request, file_id: str) -> None:
    """Check that the input is a file of this project, sent for batches. Raises InvalidRequest."""
    try:
        file = await asyncio.to_thread(file_repository(request).get, caller(request).project, file_id)
    except NotFound as error:
        raise InvalidRequest(error.message, param="input_file_id", code="file_not_found") from error
    if file.purpose != _PURPOSE:
        raise InvalidRequest(
            f"Invalid 'input_file_id': {file.id} was sent for '{file.purpose}', not for '{_PURPOSE}'.",
            param="input_file_id",
            code="invalid_file_purpose",
        )


def _batch_repository(request: Request) -> BatchRepository:
    found = services(request).batches
    if found is None:
        raise Unavailable("This server keeps no batches.")
    return found
