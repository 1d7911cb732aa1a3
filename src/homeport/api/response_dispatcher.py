"""Runs background responses: sends their stored requests through the whole application, as if a caller streamed them.

So a background response is decoded, authorized, limited, counted and answered exactly like any other. Implements
`domain.ports.responses.ResponseDispatcher`. Knows nothing of the fields of events but for their number and type.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import suppress

import msgspec
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message

from homeport.api.error_responses import error_from_response
from homeport.api.in_process_dispatcher import post_scope
from homeport.api.request_context import InternalCaller, with_internal_caller
from homeport.domain.errors import EngineFailed
from homeport.domain.responses import ResponseEvent, StoredResponse

_PATH = "/v1/responses"
_MAX_MESSAGES = 64
"""The messages of the application that wait to be read; it waits when there are more."""
_FRAME_END = b"\n\n"
_DATA = b"data: "


class _EventFields(msgspec.Struct):
    """What is read of an event's JSON."""

    type: str
    sequence_number: int


class InProcessResponseDispatcher:
    """Sends stored requests to `app`. `host` returns the host and port that a caller would use."""

    def __init__(self, app: ASGIApp, host: Callable[[], str]) -> None:
        self._app = app
        self._host = host

    async def __call__(self, response: StoredResponse) -> AsyncGenerator[ResponseEvent, None]:
        """Yield the events of the response's stream while they arrive.

        Closing the generator ends the request as if its caller disconnected. Raises the error for which the request is
        refused, or the one that breaks its stream.
        """
        outbox: asyncio.Queue[Message | None] = asyncio.Queue(_MAX_MESSAGES)
        request = asyncio.create_task(self._send(response, outbox))
        frames = _FrameSplitter()
        try:
            await _check_start(outbox)
            while (message := await outbox.get()) is not None:
                for frame in frames.split(message.get("body", b"")):
                    event = _to_event(frame)
                    if event is not None:
                        yield event
            await request  # raises what broke the stream
        finally:
            request.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await request

    async def _send(self, response: StoredResponse, outbox: "asyncio.Queue[Message | None]") -> None:
        """Run the request; everything that the application sends, and at its end None, is put into `outbox`."""
        body = response.request.encode()
        inbox: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> Message:
            if not inbox:
                await asyncio.Event().wait()  # no disconnect: this task is cancelled instead
            return inbox.pop()

        caller = InternalCaller(response.project, response.key, response.id)
        scope = with_internal_caller(post_scope(self._host(), _PATH, len(body)), caller)
        try:
            await self._app(scope, receive, outbox.put)
        finally:
            task = asyncio.current_task()
            if task is None or not task.cancelling():
                await outbox.put(None)


async def _check_start(outbox: "asyncio.Queue[Message | None]") -> None:
    """Read the start of the response. Raises the error that it reports."""
    start = await outbox.get()
    if start is None:
        raise EngineFailed("The server had an error while it answered.")
    if start["status"] == 200:
        return
    parts: list[bytes] = []
    while (message := await outbox.get()) is not None:
        parts.append(message.get("body", b""))
    retry_after = Headers(raw=list(start["headers"])).get("retry-after")
    raise error_from_response(start["status"], b"".join(parts), retry_after)


class _FrameSplitter:
    """Splits the bytes of a stream of events into frames, wherever they are cut."""

    def __init__(self) -> None:
        self._rest = b""

    def split(self, part: bytes) -> Iterator[bytes]:
        """Yield the frames that are complete with this part."""
        *frames, self._rest = (self._rest + part).split(_FRAME_END)
        yield from frames


def _to_event(frame: bytes) -> ResponseEvent | None:
    """Return the event of a frame; None for a comment. Raises the error of a frame without a number."""
    data = next((line[len(_DATA) :] for line in frame.split(b"\n") if line.startswith(_DATA)), None)
    if data is None:
        return None
    try:
        fields = msgspec.json.decode(data, type=_EventFields)
    except msgspec.DecodeError:
        raise error_from_response(500, data) from None
    return ResponseEvent(fields.sequence_number, fields.type, data.decode())
