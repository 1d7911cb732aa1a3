"""Forms with files, as browsers and SDKs send them: read within bounds, the files laid down on disk for a worker.

What a worker reads it reads by path, so that no file crosses the link. Files stand in a folder that this user alone can
read, and are gone when the request has ended, however it ended. Knows nothing of what a field means.
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
from homeport.api.multipart import NAMELESS, FormPart, MultipartFormReader
from homeport.api.request_body import limited_stream
from homeport.api.services import services
from homeport.domain.errors import (
    InvalidRequest,
    PayloadTooLarge,
    UnsupportedMediaType,
    excerpt,
)

T = TypeVar("T")

MAX_FORM_BYTES = 25 * 1024 * 1024
"""OpenAI's limit of an upload."""

FRAME_BYTES = 64_000  # of the form itself, around the file
_KEY = re.compile(r"[^\[\]]+")
_INDEX = re.compile(r"\[\d*\]\Z")


@asynccontextmanager
async def read_form(request: Request, max_bytes: int = MAX_FORM_BYTES) -> AsyncIterator[Form]:
    """Read a form whose files are `most_bytes` together; they are deleted at the end.

    A deployment in the path is its model, as in JSON bodies. Raises UnsupportedMediaType for another kind of
    body, PayloadTooLarge
    as soon as it is known to be, and InvalidRequest for a broken form.
    """
    given = request.headers.get("content-type", "")
    if given.partition(";")[0].strip().lower() != "multipart/form-data":
        raise UnsupportedMediaType(
            f"Invalid Content-Type header ({given[:100]}), expected multipart/form-data.",
            code="unsupported_content_type",
        )
    async with spool_folder(request) as folder:
        taker = MultipartFormReader(given, folder)
        try:
            async for data in limited_stream(request, max_bytes + FRAME_BYTES, _too_large(max_bytes)):
                taker.write(data)
            form = _form(taker.parts(), deployment_of(request.scope))
        finally:
            taker.close()
        yield form


@asynccontextmanager
async def spool_folder(request: Request) -> AsyncIterator[Path]:
    """Name a folder for one request's files, deleted at the end. Whoever has something to put there makes it."""
    folder = services(request).spool / uuid.uuid4().hex
    try:
        yield folder
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


async def respond_to_form(
    request: Request, respond: Callable[[Form], Awaitable[Response]], max_bytes: int = MAX_FORM_BYTES
) -> Response:
    """Read a form and answer it; its files stay until the answer has been sent whole, streamed or not."""
    return await respond_and_hold(read_form(request, max_bytes), respond)


async def respond_and_hold(
    resource: AbstractAsyncContextManager[T], respond: Callable[[T], Awaitable[Response]]
) -> Response:
    """Answer with what is opened, and close it when the answer has been sent whole, streamed or not."""
    async with AsyncExitStack() as stack:
        response = await respond(await stack.enter_async_context(resource))
        return _HoldingResponse(response, stack.pop_all())


class _HoldingResponse(Response):
    """An answer, and what must stay until it has been sent."""

    def __init__(self, response: Response, stack: AsyncExitStack) -> None:
        self._response = response
        self._stack = stack

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it, and let go whatever happened."""
        async with self._stack:
            await self._response(scope, receive, send)


def _form(parts: Sequence[FormPart], deployment: str | None) -> Form:
    values: dict[str, Any] = {}
    files: dict[str, list[UploadedFile]] = {}
    for part in parts:
        if part.filename == "" and not part.size:
            continue  # how browsers send a file that nobody chose
        if part.path is None:
            _put(values, part.name, part.value)
        else:
            upload = UploadedFile(part.path, part.filename or "", part.size)
            files.setdefault(_INDEX.sub("", part.name), []).append(upload)
    if deployment is not None:
        values["model"] = deployment
    return Form(values, {name: tuple(found) for name, found in files.items()})


def _put(values: dict[str, Any], name: str, sent: bytes) -> None:
    """Put a field where its name says: `a[]`, or `a` again, into a list, `a[b]` into a mapping."""
    top, *keys = _KEY.findall(name) or [name]
    try:
        value = sent.decode()
    except UnicodeDecodeError as error:
        said = f"Invalid '{excerpt(top)}': it is not valid UTF-8. {NAMELESS}"
        raise InvalidRequest(said, param=top) from error
    known = values.get(top)
    if keys:
        inside = values.setdefault(top, {})
        if len(keys) > 1 or not isinstance(inside, dict) or keys[0] in inside:
            raise InvalidRequest(f"The form has '{name[:100]}' where nothing is read.", param=top)
        inside[keys[0]] = value
    elif isinstance(known, list):
        known.append(value)
    elif known is not None:
        values[top] = [known, value]
    else:
        values[top] = [value] if name.endswith("[]") else value


def _too_large(most_bytes: int) -> PayloadTooLarge:
    return PayloadTooLarge(
        f"Maximum content size limit ({most_bytes} bytes) exceeded by this form.", code="content_size_exceeded"
    )
