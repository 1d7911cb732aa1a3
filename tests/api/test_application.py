"""Existing routes, and every way to miss them."""

import asyncio

import pytest

from homeport.api.application import build_application
from tests.api.asgi import call
from tests.api.fakes import services


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/foo"),
        ("POST", "/v1/foo"),
        ("GET", "/v1"),
        ("GET", "/v1/models_"),
        ("OPTIONS", "/v1/foo"),
        ("BREW", "/coffee"),
        ("GET", "/v1/föö"),
    ],
)
async def test_unknown_paths_are_missing(method: str, path: str) -> None:
    """An unknown path is OpenAI's 404 with an error body, never a redirect."""
    response = await call(build_application(services()), method, path)
    assert (response.status, response.error["message"]) == (404, f"Invalid URL ({method} {path})")


@pytest.mark.parametrize("path", ["/v1/assistants", "/v1/threads/runs", "/v1/threads/thread_1/messages"])
async def test_assistants_are_directed_to_responses(path: str) -> None:
    """The paths of the Assistants API are a 404 that says what to use instead."""
    response = await call(build_application(services()), "POST", path)
    assert (response.status, response.error["code"]) == (404, "unknown_url")
    assert "use /v1/responses" in response.error["message"]


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("/models", "/v1/models"),
        ("//v1/models", "/v1/models"),
        ("/v1//models", "/v1/models"),
        ("/v1/models/", "/v1/models"),
        ("/v1/models/org/other/", "/v1/models/org/other"),
        ("/v1/models//tiny", "/v1/models/tiny"),
        ("/v1/v1/models", "/v1/models"),
        ("/v1/v1/v1/chat/completions", "/v1/chat/completions"),
        ("/chat/completions", "/v1/chat/completions"),
        ("/api/v1/chat/completions", "/v1/chat/completions"),
        ("/v1/chat/completions/chat/completions", "/v1/chat/completions"),
        ("/v1/chat/completions/", "/v1/chat/completions"),
        ("/v1/health", "/health"),
        ("/openai/v1/v1/models", "/v1/models"),
    ],
)
async def test_a_similar_path_is_suggested(path: str, meant: str) -> None:
    """A base URL with too much or too little is a 404 that names the right path, and no redirect."""
    for method in ("GET", "POST"):
        response = await call(build_application(services()), method, path)
        assert (response.status, response.error["code"]) == (404, "unknown_url")
        assert f"Did you mean {meant}? " in response.error["message"]
        assert "location" not in response.headers


async def test_the_base_url_of_anthropics_clients_is_explained() -> None:
    """Their base URL has no version, unlike that of OpenAI's clients."""
    response = await call(build_application(services()), "POST", "/v1/v1/messages")
    assert "Did you mean /v1/messages? A client's base URL has no /v1" in response.error["message"]


@pytest.mark.parametrize("path", ["/keys", "/v1/admin/v1/keys", "//admin/v1/keys", "/v1/v1/organization/usage/x"])
async def test_administration_is_never_named(path: str) -> None:
    """No suggestion names paths that need an admin key."""
    response = await call(build_application(services()), "GET", path)
    assert (response.status, response.error["message"]) == (404, f"Invalid URL (GET {path})")


@pytest.mark.parametrize("path", ["/v1/models/", "/health/", "/v1/engines/"])
async def test_a_trailing_slash_is_no_redirect(path: str) -> None:
    """A path with an additional slash is a 404 with an error body."""
    response = await call(build_application(services()), "GET", path)
    assert (response.status, response.error["type"]) == (404, "invalid_request_error")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "/v1/models", "GET, HEAD"),
        ("OPTIONS", "/v1/models", "GET, HEAD"),
        ("PUT", "/v1/models/tiny", "GET, DELETE, HEAD"),
        ("BREW", "/health", "GET, HEAD"),
    ],
)
async def test_other_methods_are_refused(method: str, path: str, allowed: str) -> None:
    """An existing path refuses other methods in OpenAI's words and names those it has."""
    response = await call(build_application(services()), method, path)
    assert (response.status, response.headers["allow"]) == (405, allowed)
    assert response.error["message"].startswith(f"Not allowed to {method} on {path} (HINT:")


async def test_head_is_get() -> None:
    """HEAD is answered like GET."""
    assert (await call(build_application(services()), "HEAD", "/v1/models")).status == 200


async def test_long_paths_are_not_echoed_whole() -> None:
    """The error about a path is bounded, however long the path."""
    for path in ("/" + "a" * 50_000, "/v1/v1/models/" + "a" * 50_000, "/a" * 50_000):
        assert len((await call(build_application(services()), "GET", path)).body) < 800


async def test_websockets_are_closed() -> None:
    """A WebSocket is closed."""
    sent = []

    async def send(message: object) -> None:
        sent.append(message)

    async def receive() -> dict[str, str]:
        await asyncio.sleep(0)
        return {"type": "websocket.connect"}

    scope = {"type": "websocket", "path": "/v1/realtime", "root_path": "", "headers": [], "query_string": b""}
    await build_application(services())(scope, receive, send)
    assert sent == [{"type": "websocket.close", "code": 1000, "reason": ""}]
