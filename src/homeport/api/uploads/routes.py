"""`/v1/uploads`: files sent in parts, in any order and side by side, and put together at the end.

Knows nothing of where they are kept.
"""

import asyncio
import hashlib
import shutil
import uuid
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from homeport.api import validation
from homeport.api.files import content_check
from homeport.api.files.routes import (
    check_room,
    declared_size,
    render_file,
)
from homeport.api.forms import read_form
from homeport.api.json_response import JsonResponse
from homeport.api.request_body import read_json
from homeport.api.services import caller, services
from homeport.api.uploads.schema import CompleteUploadBody, PartForm, UploadBody
from homeport.domain.errors import InvalidRequest, Unavailable
from homeport.domain.files import File, Upload
from homeport.domain.ports.store import UploadRepository

PART_BYTES = 64 * 1024 * 1024
MAX_PARTS = 10_000


async def create(request: Request) -> Response:
    """Begin an upload."""
    body = await read_json(request, UploadBody)
    keep_s = body.check()
    upload = Upload(
        id="",
        project=caller(request).project,
        purpose=body.purpose,
        filename=body.filename,
        bytes=body.bytes,
        mime_type=body.mime_type,
        status="pending",
        created_at=0,
        expires_at=0,
        keep_s=keep_s,
    )
    return JsonResponse(_render_upload(await asyncio.to_thread(_uploads(request).create, upload)))


async def add(request: Request) -> Response:
    """Keep one part."""
    book, project, upload_id = _uploads(request), caller(request).project, request.path_params["upload_id"]
    await asyncio.to_thread(book.get, project, upload_id)
    if services(request).files is not None:
        await check_room(request, declared_size(request))
    async with read_form(request, PART_BYTES) as form:
        form.fields(PartForm, "data")
        part = await asyncio.to_thread(book.add_part, project, upload_id, form.file("data").path)
    told = {"id": part.id, "object": "upload.part", "created_at": part.created_at, "upload_id": part.upload_id}
    return JsonResponse(told)


async def complete(request: Request) -> Response:
    """Put the parts together, check the whole, and make it a file."""
    body = await read_json(request, CompleteUploadBody)
    validation.check_items("part_ids", body.part_ids, MAX_PARTS, 1)
    folder = services(request).spool / uuid.uuid4().hex
    try:
        upload, file = await asyncio.to_thread(_assemble, request, body, folder)
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
    return JsonResponse({**_render_upload(upload), "file": render_file(file, services(request).now())})


async def cancel(request: Request) -> Response:
    """End an upload without a file."""
    upload_id = request.path_params["upload_id"]
    return JsonResponse(
        _render_upload(await asyncio.to_thread(_uploads(request).cancel, caller(request).project, upload_id))
    )


def _assemble(request: Request, body: CompleteUploadBody, folder: Path) -> tuple[Upload, File]:
    book, whole = _uploads(request), folder / "whole"
    folder.mkdir(mode=0o700, parents=True)
    upload = book.assemble(caller(request).project, request.path_params["upload_id"], body.part_ids, whole)
    if body.md5 is not None:
        with whole.open("rb") as file:
            found = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
        if found != body.md5.strip().lower():
            raise InvalidRequest(f"The md5 of these parts is {found}.", param="md5", code="checksum_mismatch")
    content_check.check(whole, upload.purpose)
    return book.complete(upload, whole)


def _render_upload(upload: Upload) -> dict[str, object]:
    return {
        "id": upload.id,
        "object": "upload",
        "bytes": upload.bytes,
        "created_at": upload.created_at,
        "filename": upload.filename,
        "purpose": upload.purpose,
        "status": upload.status,
        "expires_at": upload.expires_at,
        "file": None,
    }


def _uploads(request: Request) -> UploadRepository:
    found = services(request).uploads
    if found is None:
        raise Unavailable("This server keeps no files.")
    return found
