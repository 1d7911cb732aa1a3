"""`/v1/uploads`: large files that arrive in parts, in any order and concurrently, and are assembled at the end."""

import asyncio
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from homeport.api.files.render import render_file
from homeport.api.files.routes import check_room, declared_size
from homeport.api.forms import read_form, spool_folder
from homeport.api.json_response import JsonResponse
from homeport.api.request_body import read_json
from homeport.api.services import caller, services
from homeport.api.uploads.convert import check_content, check_parts, to_new_upload
from homeport.api.uploads.render import render_part, render_upload
from homeport.api.uploads.schema import CompleteUploadBody, PartForm, UploadBody
from homeport.domain.errors import Unavailable
from homeport.domain.files import File, Upload
from homeport.domain.ports.store import UploadRepository

PART_BYTES = 64 * 1024 * 1024


async def create(request: Request) -> Response:
    """Start an upload."""
    new_upload = to_new_upload(await read_json(request, UploadBody), caller(request).project)
    return JsonResponse(render_upload(await asyncio.to_thread(_upload_repository(request).create, new_upload)))


async def add(request: Request) -> Response:
    """Store a part."""
    uploads, project, upload_id = _upload_repository(request), caller(request).project, request.path_params["upload_id"]
    await asyncio.to_thread(uploads.get, project, upload_id)
    if services(request).files is not None:
        await check_room(request, declared_size(request))
    async with read_form(request, PART_BYTES) as form:
        form.fields(PartForm, "data")
        part = await asyncio.to_thread(uploads.add_part, project, upload_id, form.file("data").path)
    return JsonResponse(render_part(part))


async def complete(request: Request) -> Response:
    """Assemble the parts, check the result, and make it a file."""
    body = await read_json(request, CompleteUploadBody)
    check_parts(body)
    async with spool_folder(request) as folder:
        upload, file = await asyncio.to_thread(_assemble, request, body, folder)
    return JsonResponse(render_upload(upload, render_file(file, services(request).now())))


async def cancel(request: Request) -> Response:
    """End an upload without a file."""
    upload_id = request.path_params["upload_id"]
    upload = await asyncio.to_thread(_upload_repository(request).cancel, caller(request).project, upload_id)
    return JsonResponse(render_upload(upload))


def _assemble(request: Request, body: CompleteUploadBody, folder: Path) -> tuple[Upload, File]:
    uploads, path = _upload_repository(request), folder / "whole"
    folder.mkdir(mode=0o700, parents=True)
    upload = uploads.assemble(caller(request).project, request.path_params["upload_id"], body.part_ids, path)
    check_content(body, path, upload.purpose)
    return uploads.complete(upload, path)


def _upload_repository(request: Request) -> UploadRepository:
    uploads = services(request).uploads
    if uploads is None:
        raise Unavailable("This server does not store files.")
    return uploads
