"""Calls an ASGI application in process and returns the whole response, without sockets and threads."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Scope

LOCAL = {"host": "localhost:8080"}


@dataclass(frozen=True)
class AsgiResponse:
    """A response: status, headers, and the parts in which the body was sent."""

    status: int
    headers: Headers
    parts: Sequence[bytes]

    @property
    def body(self) -> bytes:
        """The parts, joined."""
        return b"".join(self.parts)

    @property
    def json(self) -> Any:
        """The body, read as strict JSON."""
        return msgspec.json.decode(self.body)

    @property
    def error(self) -> dict[str, Any]:
        """The fields of the envelope, which must be exactly OpenAI's four."""
        body = self.json
        assert list(body) == ["error"]
        error: dict[str, Any] = body["error"]
        assert set(error) == {"message", "type", "param", "code"}
        assert error["message"]
        assert isinstance(error["code"], str | None)
        return error


async def call(
    app: ASGIApp,
    method: str,
    path: str,
    body: bytes | Sequence[bytes] = b"",
    headers: Mapping[str, str] | None = None,
    client: tuple[str, int] | None = ("127.0.0.1", 50000),
) -> AsgiResponse:
    """Send one request. A sequence as `body` arrives in these parts. Host is localhost unless `headers` has another."""
    path, _, query = path.partition("?")
    parts = [body] if isinstance(body, bytes) else list(body)
    inbox: list[Message] = [
        {"type": "http.request", "body": part, "more_body": i < len(parts) - 1} for i, part in enumerate(parts)
    ]
    sent: list[Message] = []

    async def receive() -> Message:
        if not inbox:
            await asyncio.Event().wait()  # the client stays connected and sends nothing more
        return inbox.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    given = {**LOCAL, "content-type": "application/json", **(headers or {})}
    scope: Scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": query.encode(),
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in given.items()],
        "client": client,
        "server": ("127.0.0.1", 8080),
    }
    async with asyncio.timeout(30):
        await app(scope, receive, send)
    start = sent[0]
    return AsgiResponse(
        start["status"], Headers(raw=list(start["headers"])), [message.get("body", b"") for message in sent[1:]]
    )
