"""Requests of background responses, sent through an application that streams."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

import msgspec
import pytest
from starlette.types import Message, Receive, Scope, Send

from homeport.api.access_policy import AccessPolicy
from homeport.api.error_responses import error_response
from homeport.api.middleware.authentication import AuthenticationMiddleware
from homeport.api.request_context import RequestContext, context_of, start_context
from homeport.api.response_dispatcher import InProcessResponseDispatcher
from homeport.domain.errors import (
    Conflict,
    ContextOverflow,
    EngineFailed,
    HomeportError,
    InvalidRequest,
    Overloaded,
    QuotaExceeded,
    RateLimited,
    Unavailable,
)
from homeport.domain.keys import Key, KeyLimits
from homeport.domain.responses import ResponseEvent, StoredResponse
from homeport.serving.rate_limits import RateLimiter
from homeport.serving.request_tickets import RequestTicket

REQUEST = '{"model":"tiny","input":"é"}'
START: Message = {"type": "http.response.start", "status": 200, "headers": []}


def stored() -> StoredResponse:
    """Return a stored response."""
    return StoredResponse(
        id="resp_1", project="team", status="queued", created_at=1, body="{}", is_background=True, request=REQUEST
    )


class StreamingApp:
    """An application that sends these parts, and raises errors among them. `scope`, `body`: the last request."""

    def __init__(self, parts: Sequence[bytes | Exception | asyncio.Event]) -> None:
        self._parts = parts
        self.scope: Scope = {}
        self.body = b""
        self.ended = asyncio.Event()
        self.n_sent = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        self.scope = scope
        self.body = (await receive())["body"]
        try:
            await send(START)
            for part in self._parts:
                if isinstance(part, Exception):
                    raise part
                if isinstance(part, asyncio.Event):
                    await part.wait()
                else:
                    await send({"type": "http.response.body", "body": part, "more_body": True})
                    self.n_sent += 1
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            self.ended.set()


def frame(number: int, type: str = "t") -> bytes:
    """Return the frame of an event."""
    return f'event: {type}\ndata: {{"type":"{type}","sequence_number":{number},"x":"é"}}\n\n'.encode()


def events_of(app: StreamingApp) -> AsyncGenerator[ResponseEvent, None]:
    """Send the request."""
    return InProcessResponseDispatcher(app, lambda: "here:1")(stored())


@pytest.mark.parametrize("size", [1, 2, 7, 10_000])
async def test_events_are_read_however_they_are_cut(size: int) -> None:
    """The same events come out of every division into parts; comments are dropped."""
    stream = b": ping\n\n" + frame(0, "response.created") + b": ping\n\n" + frame(1) + frame(2)
    app = StreamingApp([stream[at : at + size] for at in range(0, len(stream), size)])
    async with asyncio.timeout(10):
        found = [event async for event in events_of(app)]
    assert [(event.number, event.type) for event in found] == [(0, "response.created"), (1, "t"), (2, "t")]
    assert found[1].body == '{"type":"t","sequence_number":1,"x":"é"}'
    assert (app.body, app.scope["path"]) == (REQUEST.encode(), "/v1/responses")


async def test_events_arrive_while_the_request_runs() -> None:
    """An event is yielded as soon as it is sent."""
    more = asyncio.Event()
    app = StreamingApp([frame(0), more, frame(1)])
    async with asyncio.timeout(10), aclosing(events_of(app)) as events:
        assert (await anext(events)).number == 0
        assert not app.ended.is_set()
        more.set()
        assert (await anext(events)).number == 1


async def test_a_closed_stream_ends_the_request_at_once() -> None:
    """Closing the generator ends the request before it returns, also while the application sends."""
    for rest in ([asyncio.Event()], [frame(at) for at in range(1, 1000)]):
        app = StreamingApp([frame(0), *rest])
        async with asyncio.timeout(10):
            async with aclosing(events_of(app)) as events:
                await anext(events)
            assert app.ended.is_set()
            assert app.n_sent < 100


async def test_an_application_that_is_ahead_waits() -> None:
    """Few messages are held while nobody reads events."""
    app = StreamingApp([frame(at) for at in range(1000)])
    async with asyncio.timeout(10), aclosing(events_of(app)) as events:
        await anext(events)
        for _ in range(200):
            await asyncio.sleep(0)
        assert app.n_sent < 100
        assert len([event async for event in events]) == 999


@pytest.mark.parametrize(
    "error",
    [
        InvalidRequest("i", param="input[0]", code="c"),
        Conflict("c", code="conversation_locked"),
        RateLimited("r", retry_after_s=7.0),
        QuotaExceeded("q"),
        Overloaded("o", retry_after_s=2.0),
        Unavailable("u", retry_after_s=1.0),
    ],
)
async def test_a_refusal_is_raised_as_the_error_it_describes(error: HomeportError) -> None:
    """A response that is not 200 raises its error, with all that callers see of it."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await error_response(error)(scope, receive, send)

    with pytest.raises(type(error)) as raised:
        await anext(InProcessResponseDispatcher(app, lambda: "here:1")(stored()))
    found = raised.value
    assert (found.message, found.param, found.code) == (error.message, error.param, error.code)
    assert error.retry_after_s in (None, found.retry_after_s)


async def test_related_errors_are_raised_as_the_general_one() -> None:
    """Errors with the same status and type are not told apart."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await error_response(ContextOverflow("long"))(scope, receive, send)

    with pytest.raises(InvalidRequest) as raised:
        await anext(InProcessResponseDispatcher(app, lambda: "here:1")(stored()))
    assert raised.value.code == "context_length_exceeded"


@pytest.mark.parametrize(
    "part",
    [
        b'data: {"error":{"message":"m","type":"server_error","param":null,"code":null}}\n\n',
        EngineFailed("m"),
    ],
)
async def test_a_stream_that_breaks_raises(part: bytes | Exception) -> None:
    """An error in the middle of the stream, as an event or as an exception, is raised after the events before it."""
    events = events_of(StreamingApp([frame(0), part]))
    assert (await anext(events)).number == 0
    with pytest.raises(HomeportError, match="m"):
        await anext(events)


async def test_it_is_no_background_request_but_a_run_of_its_response() -> None:
    """The request belongs to the project, names its response, and has the priority of a caller's request."""
    contexts: list[RequestContext] = []

    async def endpoint(scope: Scope, receive: Receive, send: Send) -> None:
        contexts.append(context_of(scope))
        await send(START)
        await send({"type": "http.response.body", "body": b""})

    inner = AuthenticationMiddleware(endpoint, AccessPolicy.from_keys(["sk-a-key-of-this-server"]), RateLimiter())

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        start_context(scope)
        await inner(scope, receive, send)

    assert [event async for event in InProcessResponseDispatcher(app, lambda: "here:1")(stored())] == []
    [context] = contexts
    assert (context.caller.project, context.response_id, context.is_background) == ("team", "resp_1", False)


async def test_it_is_not_counted_again_in_its_keys_limits() -> None:
    """The run of a response works for a key whose only concurrent request is the caller's open stream of it."""
    key = Key(id="key_1", project="team", name="n", hint="h", created_at=1, limits=KeyLimits(concurrent_requests=1))
    limiter = RateLimiter()
    limiter.ticket(key).acquire()
    tickets: list[RequestTicket] = []

    async def endpoint(scope: Scope, receive: Receive, send: Send) -> None:
        tickets.append(context_of(scope).rate_ticket)
        await send(START)
        await send({"type": "http.response.body", "body": b""})

    inner = AuthenticationMiddleware(endpoint, AccessPolicy(key_cache=OneKey(key)), limiter)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        start_context(scope)
        await inner(scope, receive, send)

    response = msgspec.structs.replace(stored(), key="key_1")
    assert [event async for event in InProcessResponseDispatcher(app, lambda: "here:1")(response)] == []
    [ticket] = tickets
    assert ticket.limits == key.limits
    with pytest.raises(RateLimited):
        limiter.ticket(key).acquire()


class OneKey:
    """A key cache with one key."""

    requires_key = True

    def __init__(self, key: Key) -> None:
        self._key = key

    def find(self, secret: str) -> Key | None:
        """Find no key by its secret."""
        del secret
        return None

    def find_by_id(self, key_id: str) -> Key | None:
        """Return the key."""
        return self._key if key_id == self._key.id else None

    async def refresh(self) -> None:
        """Load nothing."""
