"""Requests that the server sends to itself."""

import asyncio

import msgspec
import pytest

from homeport.api.access_policy import AccessPolicy
from homeport.api.application import build_application
from homeport.api.in_process_dispatcher import InProcessDispatcher
from homeport.domain.errors import Overloaded, Unavailable
from tests.api.asgi import call
from tests.api.fakes import FakeServing, answer, services

BODY = msgspec.json.encode({"model": "tiny", "prompt": "a"})


def sender(serving: FakeServing) -> InProcessDispatcher:
    """A dispatcher for a server with a key, which refuses requests without one."""
    return InProcessDispatcher(
        build_application(services(serving, access=AccessPolicy.from_keys(["sk-a-key-of-this-server"]))),
        lambda: "here:1",
    )


async def test_it_needs_no_key_and_is_in_the_background() -> None:
    """The server's own requests have access, as the given project and key, in the background."""
    serving = FakeServing()
    response = await sender(serving)("team", "", "/v1/completions", BODY)
    assert (response.status, response.retry_after_s, response.code) == (200, None, None)
    assert response.request_id.startswith("req_")
    assert msgspec.json.decode(response.body)["object"] == "text_completion"
    assert serving.in_background == [True]
    [(_, asked)] = serving.requests
    assert (getattr(asked, "project", None), getattr(asked, "is_background", None)) == ("team", True)


async def test_network_callers_need_a_key() -> None:
    """A caller from the network needs a key, whatever headers it sends, and is never in the background."""
    serving = FakeServing()
    app = build_application(services(serving))
    headers = {"homeport.internal_caller": "team", "x-homeport-sender": "team"}
    assert (await call(app, "POST", "/v1/completions", BODY, headers=headers)).status == 200
    assert serving.in_background == [False]


async def test_a_stored_key_that_is_not_there_opens_nothing() -> None:
    """With an unknown key a request is a 401."""
    response = await sender(FakeServing())("team", "key_gone", "/v1/completions", BODY)
    assert (response.status, response.code) == (401, "invalid_api_key")


@pytest.mark.parametrize(
    ("refusal", "status", "retry_after_s"),
    [(Overloaded("busy", retry_after_s=7), 429, 7), (Unavailable("down"), 503, 1)],
)
async def test_a_temporary_refusal_has_a_retry_time(
    refusal: Overloaded | Unavailable, status: int, retry_after_s: float
) -> None:
    """A temporary refusal says when to retry."""
    serving = FakeServing()
    serving.refusal = refusal
    response = await sender(serving)("team", "", "/v1/completions", BODY)
    assert (response.status, response.retry_after_s) == (status, retry_after_s)


async def test_cancelled_it_ends_the_request() -> None:
    """Cancelling the call releases all resources of the request."""
    never = asyncio.Event()
    serving = FakeServing(lambda _: [*answer("a")[:1], never])
    asking = asyncio.create_task(sender(serving)("team", "", "/v1/completions", BODY))
    await serving.opened.wait()
    await serving.streams[0].waits.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert serving.streams[0].closed.is_set()


async def test_urls_have_the_callers_host() -> None:
    """The host is the one that callers use."""
    seen: list[bytes] = []

    async def app(scope: dict[str, list[tuple[bytes, bytes]]], receive: object, send: object) -> None:
        seen.extend(value for name, value in scope["headers"] if name == b"host")
        await send({"type": "http.response.start", "status": 200, "headers": []})  # type: ignore[operator]
        await send({"type": "http.response.body", "body": b"{}"})  # type: ignore[operator]

    await InProcessDispatcher(app, lambda: "here:1")("team", "", "/v1/completions", b"{}")  # type: ignore[arg-type]
    assert seen == [b"here:1"]
