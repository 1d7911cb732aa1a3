"""Requests that the server sends to itself, through the whole application, as if they came over the network.

So a line of a batch is decoded, authorized, limited, counted and refused exactly like a request. Implements
`domain.ports.batches.RequestDispatcher`.
"""

import asyncio
import math
from collections.abc import Callable

import msgspec
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Scope

from homeport.api.request_context import InternalCaller, with_internal_caller
from homeport.domain.batches import DispatchedResponse


class _ErrorDetails(msgspec.Struct, frozen=True):
    error_code: str | None = None


class _ErrorBody(msgspec.Struct, frozen=True):
    """An error in OpenAI's format, or in Anthropic's, which has the code among its details."""

    code: str | None = None
    details: _ErrorDetails = _ErrorDetails()


class _ErrorEnvelope(msgspec.Struct):
    error: _ErrorBody = _ErrorBody()


class InProcessDispatcher:
    """Sends requests to `app`. `host` returns the host and port that a caller would use."""

    def __init__(self, app: ASGIApp, host: Callable[[], str]) -> None:
        self._app = app
        self._host = host

    async def __call__(self, project: str, key: str, path: str, body: bytes) -> DispatchedResponse:
        """POST a JSON body to a path, for a project and the stored key with this id (empty: none).

        If this call is cancelled, the request ends as if its caller disconnected.
        """
        inbox: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]
        sent: list[Message] = []

        async def receive() -> Message:
            if not inbox:
                await asyncio.Event().wait()  # no disconnect: the caller waits here, and cancels
            return inbox.pop()

        async def send(message: Message) -> None:
            sent.append(message)

        await self._app(
            with_internal_caller(post_scope(self._host(), path, len(body)), InternalCaller(project, key)), receive, send
        )
        headers = Headers(raw=list(sent[0]["headers"]))
        return _to_response(sent[0]["status"], headers, b"".join(message.get("body", b"") for message in sent[1:]))


def post_scope(host: str, path: str, n_bytes: int) -> Scope:
    """Return the ASGI scope of a POST request with a JSON body of `n_bytes`, from nowhere."""
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [
            (b"host", host.encode("latin-1")),
            (b"content-type", b"application/json"),
            (b"content-length", str(n_bytes).encode()),
        ],
        "client": None,
        "server": None,
    }


def _to_response(status: int, headers: Headers, body: bytes) -> DispatchedResponse:
    retry_after = headers.get("retry-after")
    return DispatchedResponse(
        status=status,
        request_id=headers.get("x-request-id", ""),
        body=body,
        retry_after_s=float(retry_after) if retry_after and math.isfinite(float(retry_after)) else None,
        code=_code(body) if status >= 400 else None,
    )


def _code(body: bytes) -> str | None:
    try:
        error = msgspec.json.decode(body, type=_ErrorEnvelope).error
    except msgspec.DecodeError:
        return None
    return error.code or error.details.error_code
