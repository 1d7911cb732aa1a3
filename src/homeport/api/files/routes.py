"""`/v1/files`: files sent, listed, looked at, given back and deleted. A project sees its own alone.

Knows nothing of where they are kept.
"""

import asyncio
import math
from collections.abc import AsyncGenerator
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from homeport.api import validation
from homeport.api.files import content_check
from homeport.api.files.schema import BATCH_BYTES, FileForm, check_name, check_purpose
from homeport.api.forms import FRAME_BYTES, read_form
from homeport.api.json_response import JsonResponse
from homeport.api.paging import PageQuery, parse_page, render_page
from homeport.api.services import caller, services
from homeport.api.streaming import ByteStream
from homeport.domain.errors import InvalidRequest, Unavailable
from homeport.domain.files import File
from homeport.domain.ports.store import FileRepository

MAX_PAGE_SIZE = 10_000
_CHECKED_S = 3
"""Files to train on are `uploaded` for so long, then `processed`: clients of 2023 wait for one after the other.

They are checked before they are taken, so all that is done with a file can be done at once.
"""


class FilesQuery(PageQuery, forbid_unknown_fields=True, kw_only=True):
    """The query parameters of a list of files."""

    limit: int = MAX_PAGE_SIZE
    purpose: str | None = None
    order: str = "desc"


async def create(request: Request) -> Response:
    """Keep a file."""
    shelf = file_repository(request)
    await check_room(request, declared_size(request))
    async with read_form(request, services(request).limits.file_bytes) as form:
        body = form.fields(FileForm, "file")
        upload = form.file("file")
        keep_s = check_purpose(body.purpose, body.expires_after)
        if body.purpose == "batch" and upload.size > BATCH_BYTES:
            raise InvalidRequest(f"A file for a batch has {BATCH_BYTES} bytes at most.", param="file")
        check_name(upload.name)
        await asyncio.to_thread(content_check.check, upload.path, body.purpose)
        file = File(
            id="",
            project=caller(request).project,
            purpose=body.purpose,
            filename=upload.name,
            bytes=upload.size,
            created_at=0,
            expires_at=keep_s,
        )
        return JsonResponse(
            render_file(await asyncio.to_thread(shelf.create, file, upload.path), services(request).now())
        )


async def list_files(request: Request) -> Response:
    """List the project's files, newest first unless asked otherwise."""
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
    """Describe one file. Raises Missing."""
    return JsonResponse(render_file(await _file(request), services(request).now()))


async def delete(request: Request) -> Response:
    """Forget one file. Raises Missing."""
    file_id = request.path_params["file_id"]
    await asyncio.to_thread(file_repository(request).delete, caller(request).project, file_id)
    return JsonResponse({"id": file_id, "object": "file", "deleted": True})


async def content(request: Request) -> Response:
    """Give a file back as it was sent. Raises Missing."""
    file = await _file(request)
    headers = {
        "content-length": str(file.bytes),
        "content-disposition": f"attachment; filename*=UTF-8''{quote(file.filename, safe='')}",
    }
    source = _ensure_first_chunk(file_repository(request).read(file))
    return ByteStream(source, headers, "application/octet-stream", stall_s=services(request).limits.stall_s)


async def _ensure_first_chunk(pieces: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """The pieces of a content; an empty one has none, and its headers go out all the same."""
    is_empty = True
    async for piece in pieces:
        is_empty = False
        yield piece
    if is_empty:
        yield b""


def render_file(file: File, now: float = math.inf) -> dict[str, object]:
    """A file as the API tells of it, in 2023 and today. `now`: the wall clock, where the file may still be new."""
    is_new = file.purpose == "fine-tune" and now < file.created_at + _CHECKED_S
    return {
        "id": file.id,
        "object": "file",
        "bytes": file.bytes,
        "created_at": file.created_at,
        "expires_at": file.expires_at,
        "filename": file.filename,
        "purpose": file.purpose,
        "status": "uploaded" if is_new else "processed",
        "status_details": None,
    }


def declared_size(request: Request) -> int:
    """What a form's file surely has, by the request's own length, in bytes: so much is refused before it is read."""
    length = request.headers.get("content-length", "")
    return max(0, int(length) - FRAME_BYTES) if length.isascii() and length.isdigit() else 0


async def check_room(request: Request, n_bytes: int) -> None:
    """Raise InvalidRequest where the project may not keep so many bytes more."""
    await asyncio.to_thread(file_repository(request).check_room, caller(request).project, n_bytes)


def file_repository(request: Request) -> FileRepository:
    """The files of this server. Raises Unavailable where it keeps none."""
    found = services(request).files
    if found is None:
        raise Unavailable("This server keeps no files.")
    return found


async def _file(request: Request) -> File:
    return await asyncio.to_thread(
        file_repository(request).get, caller(request).project, request.path_params["file_id"]
    )
