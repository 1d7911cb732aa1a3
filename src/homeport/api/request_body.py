"""Reads JSON bodies: checks the content type and the size, and decodes large bodies in a thread."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeVar, cast

from starlette.requests import Request

from homeport.api import json_codec
from homeport.api.azure import deployment_of
from homeport.api.request_context import context_of
from homeport.api.services import services
from homeport.domain.errors import PayloadTooLarge, UnsupportedMediaType

T = TypeVar("T")
R = TypeVar("R")

LARGE_BYTES = 256_000
"""Larger bodies are decoded in a thread, because decoding would block every stream for milliseconds."""


async def read_json(request: Request, kind: type[T], max_bytes: int | None = None) -> T:
    """Read the body as `kind`. A deployment in the path replaces its model. `max_bytes`: None for the server's limit.

    Raises UnsupportedMediaType, PayloadTooLarge, or InvalidRequest from `json_codec.decode`.
    """
    _check_type(request)
    body = await _read(request, max_bytes or services(request).limits.body_bytes)
    if len(body) > LARGE_BYTES:
        context_of(request.scope).is_large = True
        decoded = await asyncio.to_thread(_decode_large, body, kind)
    else:
        decoded = json_codec.decode(body, kind)
    deployment = deployment_of(request.scope)
    if deployment is not None and hasattr(decoded, "model"):
        cast("Any", decoded).model = deployment
    return decoded


async def run_in_thread_if_large(request: Request, work: Callable[..., R], *arguments: object) -> R:
    """Call `work`, whose time grows with the body: in a thread if the body is large, so that streams continue.

    Requires that `read_json` has read the body.
    """
    if context_of(request.scope).is_large:
        return await asyncio.to_thread(work, *arguments)
    return work(*arguments)


def _decode_large(body: bytes, kind: type[T]) -> T:
    json_codec.check_values(body)
    return json_codec.decode(body, kind)


def media_type(request: Request) -> str:
    """Return the declared type of the body in lower case, without parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def is_json(request: Request) -> bool:
    """Return whether the body is declared as JSON."""
    return media_type(request) == "application/json"


def _check_type(request: Request) -> None:
    if not is_json(request):
        content_type = request.headers.get("content-type", "")
        raise UnsupportedMediaType(
            f"Invalid Content-Type header ({content_type[:100]}), expected application/json. (HINT: If you're using "
            "curl, you can pass -H 'Content-Type: application/json')",
            code="unsupported_content_type",
        )
    coding = request.headers.get("content-encoding", "identity").strip().lower()
    if coding != "identity":
        raise UnsupportedMediaType(
            f"Content-Encoding {coding[:100]} is not supported: send the body uncompressed.",
            code="unsupported_content_encoding",
        )


async def _read(request: Request, limit: int) -> bytes:
    return b"".join([part async for part in limited_stream(request, limit, _too_large(limit))])


async def limited_stream(request: Request, limit: int, error: PayloadTooLarge) -> AsyncIterator[bytes]:
    """Return the pieces of the body as they arrive. Raises `error` as soon as the body is known to exceed the limit."""
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared[:20]) > limit:
        raise error
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > limit:
            raise error
        yield part


def _too_large(limit: int) -> PayloadTooLarge:
    return PayloadTooLarge(f"The request body is over the limit of {limit} bytes.", code="request_too_large")
