"""Background responses for their callers: accept one, cancel one, follow one's stream from any event on.

Knows nothing of who runs them: everything that a follower sends was read from the database, so every follower sends
the same bytes, whichever process runs the response.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from homeport.api import json_codec
from homeport.api.responses.response_object import ResponseObject
from homeport.api.responses.stored_response import render_stored
from homeport.api.services import caller, services
from homeport.api.streaming import escape_line_ends
from homeport.api.watched_access import stream_while_allowed
from homeport.domain.errors import InvalidRequest, Unavailable
from homeport.domain.ports.responses import ResponseRepository
from homeport.domain.responses import Item, ResponseEvent, StoredResponse
from homeport.domain.validation import check_integer
from homeport.serving.responses.run_log import CREATED, INCOMPLETE, QUEUED, end_event
from homeport.serving.responses.signals import ResponseSignals, wait_for

_EVENTS_PER_PAGE = 256
_POLL_S = 0.25
"""How often the events of a response are read that another process runs, or none yet."""
_SIGNALLED_POLL_S = 5.0
"""The same for a response that this process runs: it says when there are more."""
_CANCEL_S = 5.0
"""How long the answer to a cancellation waits for the end of the response."""
_MEDIA_TYPE = "application/json"


async def start(
    request: Request,
    plan_base: ResponseObject,
    input_items: tuple[Item, ...],
    body: bytes,
    *,
    is_streamed: bool,
    previous_id: str | None,
    conversation_id: str | None,
) -> Response:
    """Store a checked request as a background response, and answer with it, or with its stream.

    `plan_base`: the response as it begins; `body`: the request's JSON. Raises InvalidRequest over the project's storage
    limit, NotFound if the conversation is deleted, StorageFull, Unavailable without a database.
    """
    server = services(request)
    queued = msgspec.structs.replace(plan_base, status="queued", background=True)
    text = json_codec.encode(queued)
    response = StoredResponse(
        id=queued.id,
        project=caller(request).project,
        status=queued.status,
        created_at=queued.created_at,
        body=text.decode(),
        expires_at=None if server.response_keep_s is None else queued.created_at + server.response_keep_s,
        previous_id=previous_id,
        conversation_id=conversation_id,
        input=input_items,
        is_background=True,
        key=caller(request).key_id,
        request=body.decode(),
    )
    await asyncio.to_thread(_repository(request).add, response, _first_events(text))
    server.response_signals.queued.set()
    if is_streamed:
        return await follow(request, response, None)
    return Response(text, media_type=_MEDIA_TYPE)


async def cancel(request: Request) -> Response:
    """End a background response, and describe it. One that has ended is described as it is.

    Raises NotFound, or InvalidRequest for a response that is not in the background.
    """
    project, response_id = caller(request).project, request.path_params["response_id"]
    repository, signals = _repository(request), services(request).response_signals
    with signals.following(response_id) as changed:
        response = await asyncio.to_thread(repository.cancel, project, response_id)
        signals.cancel(response_id)
        signals.notify(response_id)
        deadline = asyncio.get_running_loop().time() + _CANCEL_S
        while not response.has_ended and (left_s := deadline - asyncio.get_running_loop().time()) > 0:
            await wait_for(changed, min(left_s, _POLL_S))
            changed.clear()
            response = await asyncio.to_thread(repository.get, project, response_id)
    return Response(render_stored(response), media_type=_MEDIA_TYPE)


async def follow(request: Request, response: StoredResponse, starting_after: int | None) -> Response:
    """Stream the events of a background response whose numbers are above `starting_after` (None: all), to its end.

    A follower that leaves ends nothing. Raises InvalidRequest for a response that is not in the background, and for a
    number past the last event.
    """
    if not response.is_background:
        raise InvalidRequest(
            "Only a response that was created with `background: true` can be streamed again.", param="stream"
        )
    check_integer("starting_after", starting_after, 0)
    reader = _EventReader(_repository(request), services(request).response_signals, response)
    if starting_after is not None:
        await reader.skip_to(starting_after)
    return stream_while_allowed(request, reader.frames())


class _EventReader:
    """Reads the events of one response, for one follower. `_last`: the last event that it has read."""

    def __init__(self, repository: ResponseRepository, signals: ResponseSignals, response: StoredResponse) -> None:
        self._repository = repository
        self._signals = signals
        self._response = response
        self._last: ResponseEvent | None = None

    async def skip_to(self, number: int) -> None:
        """Begin after the event with this number. Raises InvalidRequest if there is none yet."""
        # The last event of a response that was cancelled before it ran is not stored, but the one before it is.
        for event in await self._read(max(number - 2, -1), min(2, number + 1)):
            self._last = event
        if self._last is not None and self._last.number == number - 1 and (end := self._unstored_end()) is not None:
            self._last = end
        if self._last is None or self._last.number != number:
            raise InvalidRequest(
                f"Invalid 'starting_after': the response has no event with the sequence number {number}.",
                param="starting_after",
                code="invalid_value",
            )

    async def frames(self) -> AsyncGenerator[bytes, None]:
        """Yield the events as they are sent, the first part empty; end after the last one, or when the server stops."""
        yield b""
        with self._signals.following(self._response.id) as changed:
            while True:
                changed.clear()
                had_ended = self._response.has_ended  # then all events are stored
                events = await self._read(self._last.number if self._last else -1, _EVENTS_PER_PAGE)
                if events:
                    self._last = events[-1]
                    yield b"".join(map(_to_frame, events))
                elif had_ended:
                    if (end := self._unstored_end()) is not None:
                        yield _to_frame(end)
                    return
                elif self._signals.is_closed:
                    return
                else:
                    await self._read_response()
                    if not self._response.has_ended:
                        is_here = self._signals.is_running(self._response.id)
                        await wait_for(changed, _SIGNALLED_POLL_S if is_here else _POLL_S)

    async def _read(self, after: int, limit: int) -> Sequence[ResponseEvent]:
        response = self._response
        return await asyncio.to_thread(self._repository.list_events, response.project, response.id, after, limit)

    async def _read_response(self) -> None:
        self._response = await asyncio.to_thread(self._repository.get, self._response.project, self._response.id)

    def _unstored_end(self) -> ResponseEvent | None:
        """Return the last event of a response that was cancelled while nobody ran it: nobody has stored one."""
        last = self._last
        if last is None or self._response.status != "cancelled" or last.type == INCOMPLETE:
            return None
        number = last.number + 1
        return ResponseEvent(number, INCOMPLETE, end_event(INCOMPLETE, number, render_stored(self._response).decode()))


def _first_events(response: bytes) -> tuple[ResponseEvent, ...]:
    """Return the events that are stored when a response is accepted. `response`: its JSON."""
    return tuple(
        ResponseEvent(
            number,
            type,
            json_codec.encode({"type": type, "sequence_number": number, "response": msgspec.Raw(response)}).decode(),
        )
        for number, type in enumerate((CREATED, QUEUED))
    )


def _to_frame(event: ResponseEvent) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (event.type.encode(), escape_line_ends(event.body.encode()))


def _repository(request: Request) -> ResponseRepository:
    responses = services(request).responses
    if responses is None:
        raise Unavailable("This server does not store responses.")
    return responses
