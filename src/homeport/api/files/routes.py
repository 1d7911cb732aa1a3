"""`/v1/files`: create, list, describe, download and delete files. A project sees only its own files."""

import asyncio
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from homeport.api.files.convert import to_new_file
from homeport.api.files.render import DeletedObject, render_file, stream_content
from homeport.api.files.schema import MAX_PAGE_SIZE, FileForm, FilesQuery
from homeport.api.forms import FORM_OVERHEAD_BYTES, read_form
from homeport.api.json_response import JsonResponse
from homeport.api.paging import parse_page, render_page
from homeport.api.services import caller, services
from homeport.api.streaming import ByteStream
from homeport.domain import validation
from homeport.domain.errors import Unavailable
from homeport.domain.files import File
from homeport.domain.ports.store import FileRepository


async def create(request: Request) -> Response:
    """Store a file."""
    files = file_repository(request)
    await check_room(request, declared_size(request))
    async with read_form(request, services(request).limits.file_bytes) as form:
        body, upload = form.fields(FileForm, "file"), form.file("file")
        new_file = await asyncio.to_thread(to_new_file, body, upload, caller(request).project)
        file = await asyncio.to_thread(files.create, new_file, upload.path)
    return JsonResponse(render_file(file, services(request).now()))


async def list_files(request: Request) -> Response:
    """List the project's files, newest first unless `order` is `asc`."""
    query = parse_page(request, FilesQuery, max_limit=MAX_PAGE_SIZE)
    validation.check_choice("order", query.order, ("asc", "desc"))
    page = await asyncio.to_thread(
        file_repository(request).list_page,
        caller(request).project,
        query.to_page_request(is_newest_first=query.order == "desc"),
        query.purpose,
    )
    now = services(request).now()
    return render_page(page, lambda file: render_file(file, now))


async def retrieve(request: Request) -> Response:
    """Describe a file. Raises NotFound."""
    return JsonResponse(render_file(await _find_file(request), services(request).now()))


async def delete(request: Request) -> Response:
    """Delete a file. Raises NotFound."""
    file_id = request.path_params["file_id"]
    await asyncio.to_thread(file_repository(request).delete, caller(request).project, file_id)
    return JsonResponse(DeletedObject(id=file_id, object="file"))


async def content(request: Request) -> Response:
    """Send the content of a file. Raises NotFound."""
    file = await _find_file(request)
    headers = {
        "content-length": str(file.bytes),
        "content-disposition": f"attachment; filename*=UTF-8''{quote(file.filename, safe='')}",
    }
    source = stream_content(file_repository(request).read(file))
    return ByteStream(source, headers, "application/octet-stream", stall_s=services(request).limits.stall_s)


def declared_size(request: Request) -> int:
    """Return the minimum size of the form's file in bytes, from the Content-Length header; 0 without one."""
    length = request.headers.get("content-length", "")
    return max(0, int(length) - FORM_OVERHEAD_BYTES) if length.isascii() and length.isdigit() else 0


async def check_room(request: Request, n_bytes: int) -> None:
    """Raise InvalidRequest if `n_bytes` more exceed the project's storage limit."""
    await asyncio.to_thread(file_repository(request).check_room, caller(request).project, n_bytes)


def file_repository(request: Request) -> FileRepository:
    """Return the server's files. Raises Unavailable if it stores none."""
    files = services(request).files
    if files is None:
        raise Unavailable("This server does not store files.")
    return files


async def _find_file(request: Request) -> File:
    return await asyncio.to_thread(
        file_repository(request).get, caller(request).project, request.path_params["file_id"]
    )
