"""Forms with files, as browsers and SDKs send them: read within limits, with the files on disk for a worker.

A worker reads files by path, so no file crosses the link. The files are in a folder that only this user can read, and
are deleted when the request ends, however it ends. Knows nothing of what a field means.
"""

import asyncio
import re
import shutil
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from homeport.api.azure import deployment_of
from homeport.api.form_values import Form, UploadedFile
from homeport.api.multipart import FILENAME_HINT, FormPart, MultipartFormReader
from homeport.api.request_body import limited_stream, media_type
from homeport.api.services import services
from homeport.domain.errors import InvalidRequest, PayloadTooLarge, UnsupportedMediaType, excerpt

T = TypeVar("T")

MAX_FORM_BYTES = 25 * 1024 * 1024
"""OpenAI's limit for audio files."""

FORM_OVERHEAD_BYTES = 64_000
"""What a form may have in addition to its files: boundaries, headers and text fields."""
_KEY = re.compile(r"[^\[\]]+")
_INDEX = re.compile(r"\[\d*\]\Z")


@asynccontextmanager
async def read_form(request: Request, max_bytes: int = MAX_FORM_BYTES) -> AsyncIterator[Form]:
    """Read a form whose files have at most `max_bytes` in total; they are deleted at the end of the block.

    A deployment in the path is the form's model, as in JSON bodies. Raises UnsupportedMediaType for other content
    types, PayloadTooLarge as soon as the size is known, and InvalidRequest for an invalid form.
    """
    content_type = request.headers.get("content-type", "")
    if media_type(request) != "multipart/form-data":
        raise UnsupportedMediaType(
            f"Invalid Content-Type header ({content_type[:100]}), expected multipart/form-data.",
            code="unsupported_content_type",
        )
    async with spool_folder(request) as folder:
        reader = MultipartFormReader(content_type, folder)
        try:
            async for data in limited_stream(request, max_bytes + FORM_OVERHEAD_BYTES, _too_large(max_bytes)):
                reader.write(data)
            form = _form(reader.parts(), deployment_of(request.scope))
        finally:
            reader.close()
        yield form


@asynccontextmanager
async def spool_folder(request: Request) -> AsyncIterator[Path]:
    """Name a folder for one request's files, which is deleted at the end. The first writer creates it."""
    folder = services(request).spool / uuid.uuid4().hex
    try:
        yield folder
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


async def respond_to_form(
    request: Request, respond: Callable[[Form], Awaitable[Response]], max_bytes: int = MAX_FORM_BYTES
) -> Response:
    """Read a form and respond; its files exist until the response is sent completely, streamed or not."""
    return await respond_and_hold(read_form(request, max_bytes), respond)


async def respond_and_hold(
    resource: AbstractAsyncContextManager[T], respond: Callable[[T], Awaitable[Response]]
) -> Response:
    """Open a resource and respond; it is closed when the response is sent completely, streamed or not."""
    async with AsyncExitStack() as stack:
        response = await respond(await stack.enter_async_context(resource))
        return _HoldingResponse(response, stack.pop_all())


class _HoldingResponse(Response):
    """A response, and the resources that it needs until it is sent."""

    def __init__(self, response: Response, stack: AsyncExitStack) -> None:
        self._response = response
        self._stack = stack

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response, and release the resources in every case."""
        async with self._stack:
            await self._response(scope, receive, send)


def _form(parts: Sequence[FormPart], deployment: str | None) -> Form:
    values: dict[str, Any] = {}
    files: dict[str, list[UploadedFile]] = {}
    for part in parts:
        if part.filename == "" and not part.size:
            continue  # browsers send this if no file was chosen
        if part.path is None:
            _add_value(values, part.name, part.value)
        else:
            upload = UploadedFile(part.path, part.filename or "", part.size)
            files.setdefault(_INDEX.sub("", part.name), []).append(upload)
    if deployment is not None:
        values["model"] = deployment
    return Form(values, {name: tuple(uploads) for name, uploads in files.items()})


def _add_value(values: dict[str, Any], name: str, data: bytes) -> None:
    """Add a field: `a[]`, or a repeated `a`, to a list, `a[b]` to a mapping."""
    top, *keys = _KEY.findall(name) or [name]
    try:
        value = data.decode()
    except UnicodeDecodeError as error:
        message = f"Invalid '{excerpt(top)}': it is not valid UTF-8. {FILENAME_HINT}"
        raise InvalidRequest(message, param=top) from error
    known = values.get(top)
    if keys:
        mapping = values.setdefault(top, {})
        if len(keys) > 1 or not isinstance(mapping, dict) or keys[0] in mapping:
            raise InvalidRequest(f"The form has a field '{name[:100]}', which is not supported.", param=top)
        mapping[keys[0]] = value
    elif isinstance(known, list):
        known.append(value)
    elif known is not None:
        values[top] = [known, value]
    else:
        values[top] = [value] if name.endswith("[]") else value


def _too_large(max_bytes: int) -> PayloadTooLarge:
    return PayloadTooLarge(
        f"Maximum content size limit ({max_bytes} bytes) exceeded by this form.", code="content_size_exceeded"
    )
