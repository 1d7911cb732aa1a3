"""`/v1/vector_stores/{id}/files` and `/file_batches`: the files of a store. A project sees only its own."""

import asyncio
from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from homeport.api.files.render import DeletedObject
from homeport.api.json_response import JsonResponse
from homeport.api.paging import render_page
from homeport.api.request_body import read_json
from homeport.api.services import caller, services
from homeport.api.vector_stores.convert import to_attributes, to_batch_files, to_new_file
from homeport.api.vector_stores.render import render_batch, render_content, render_file
from homeport.api.vector_stores.repositories import file_repository
from homeport.api.vector_stores.routes import name_of, parse_ordered, read_page, store_key
from homeport.api.vector_stores.schema import AttributesBody, FileBatchBody, StoreFileBody, StoreFilesQuery
from homeport.domain import validation
from homeport.domain.vector_stores import CANCELLED, COMPLETED, FAILED, IN_PROGRESS


async def create(request: Request) -> Response:
    """Add a file, which is indexed in the background. Raises NotFound, InvalidRequest."""
    body = await read_json(request, StoreFileBody)
    repository = file_repository(request)
    new_file = await asyncio.to_thread(to_new_file, body, name_of(request))
    added = await asyncio.to_thread(repository.add, *store_key(request), new_file, caller(request).key_id)
    services(request).on_files_added()
    return JsonResponse(render_file(added))


async def list_files(request: Request) -> Response:
    """List the files of a store, newest first unless `order` is `asc`. Raises NotFound, InvalidRequest."""
    return await _list(request, None)


async def retrieve(request: Request) -> Response:
    """Describe a file of a store. Raises NotFound."""
    return JsonResponse(render_file(await asyncio.to_thread(file_repository(request).get, *_file_key(request))))


async def update(request: Request) -> Response:
    """Replace the attributes of a file. Raises NotFound, InvalidRequest."""
    attributes = to_attributes((await read_json(request, AttributesBody)).attributes)
    changed = await asyncio.to_thread(file_repository(request).update, *_file_key(request), attributes)
    return JsonResponse(render_file(changed))


async def delete(request: Request) -> Response:
    """Remove a file from a store; the file itself stays. Raises NotFound."""
    project, store_id, file_id = _file_key(request)
    await asyncio.to_thread(file_repository(request).delete, project, store_id, file_id)
    return JsonResponse(DeletedObject(id=file_id, object="vector_store.file.deleted"))


async def content(request: Request) -> Response:
    """Return the texts of a file's chunks. Raises NotFound."""
    return JsonResponse(render_content(await asyncio.to_thread(file_repository(request).texts, *_file_key(request))))


async def create_batch(request: Request) -> Response:
    """Add files together, which are indexed in the background. Raises NotFound, InvalidRequest."""
    body = await read_json(request, FileBatchBody)
    repository = file_repository(request)
    files = await asyncio.to_thread(to_batch_files, body, name_of(request))
    batch = await asyncio.to_thread(repository.add_batch, *store_key(request), files, caller(request).key_id)
    services(request).on_files_added()
    return JsonResponse(render_batch(batch))


async def retrieve_batch(request: Request) -> Response:
    """Describe a batch of files. Raises NotFound."""
    return JsonResponse(render_batch(await asyncio.to_thread(file_repository(request).get_batch, *_batch_key(request))))


async def cancel_batch(request: Request) -> Response:
    """Cancel the files of a batch that are not indexed yet. Raises NotFound."""
    cancelled = await asyncio.to_thread(file_repository(request).cancel_batch, *_batch_key(request))
    return JsonResponse(render_batch(cancelled))


async def list_batch_files(request: Request) -> Response:
    """List the files of a batch. Raises NotFound, InvalidRequest."""
    key = _batch_key(request)
    await asyncio.to_thread(file_repository(request).get_batch, *key)
    return await _list(request, key[2])


async def _list(request: Request, batch_id: str | None) -> Response:
    query = parse_ordered(request, StoreFilesQuery)
    validation.check_choice("filter", query.filter, (IN_PROGRESS, COMPLETED, FAILED, CANCELLED))
    read = partial(file_repository(request).list_page, *store_key(request), status=query.filter, batch_id=batch_id)
    return render_page(await read_page(query, read), render_file)


def _file_key(request: Request) -> tuple[str, str, str]:
    return (*store_key(request), request.path_params["file_id"])


def _batch_key(request: Request) -> tuple[str, str, str]:
    return (*store_key(request), request.path_params["batch_id"])
