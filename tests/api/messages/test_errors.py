"""Errors of `/v1/messages`: Anthropic's statuses, types and envelope, wherever they arise."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from homeport.api.access_policy import AccessPolicy
from homeport.api.application import build_application
from homeport.api.messages.errors import error_body, error_status
from homeport.api.services import Limits
from homeport.domain.errors import (
    ContextOverflow,
    EngineFailed,
    Forbidden,
    HomeportError,
    InvalidRequest,
    ModelNotFound,
    Overloaded,
    PayloadTooLarge,
    QuotaExceeded,
    RateLimited,
    TooSlow,
    Unauthenticated,
    Unavailable,
)
from homeport.domain.keys import Key, KeyLimits
from homeport.engines.text.prompt_length_limits import TokenLimit
from tests.api.asgi import AsgiResponse, call
from tests.api.fakes import FakeServing, services
from tests.api.messages.calls import PATH, PLAIN, error_of, post

KEY = "sk-a-key-for-these-tests"
LIMITED = Key(
    id="key_1", project="p", name="bot", hint="sk-1***xx", created_at=0, limits=KeyLimits(requests_per_minute=1)
)


class OneKey:
    """A key cache with one key."""

    requires_key = True

    def find(self, secret: str) -> Key | None:
        """Return the key for its secret."""
        return LIMITED if secret == KEY else None

    def find_by_id(self, key_id: str) -> Key | None:
        """Return no key."""
        return None

    async def refresh(self) -> None:
        """Do nothing."""


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (InvalidRequest("x"), 400, "invalid_request_error"),
        (ContextOverflow("x"), 400, "invalid_request_error"),
        (Unauthenticated("x"), 401, "authentication_error"),
        (Forbidden("x"), 403, "permission_error"),
        (ModelNotFound("x"), 404, "not_found_error"),
        (TooSlow("x"), 408, "timeout_error"),
        (PayloadTooLarge("x"), 413, "request_too_large"),
        (RateLimited("x"), 429, "rate_limit_error"),
        (QuotaExceeded("x"), 429, "rate_limit_error"),
        (Overloaded("x"), 529, "overloaded_error"),
        (EngineFailed("x"), 500, "api_error"),
        (Unavailable("x"), 503, "api_error"),
        (HomeportError("x"), 500, "api_error"),
    ],
)
def test_each_error_has_a_status_and_a_type(error: HomeportError, status: int, kind: str) -> None:
    """The type follows from the status, and the code is among the details."""
    body = json.loads(error_body(error, "req_1"))
    assert error_status(error) == status
    assert (body["error"]["type"], body["request_id"]) == (kind, "req_1")
    assert body["error"].get("details") == ({"error_code": error.code} if error.code else None)


@pytest.mark.parametrize(
    ("message", "param", "expected"),
    [
        ("Too small.", "max_tokens", "max_tokens: Too small."),
        ("Invalid 'max_tokens': too small.", "max_tokens", "Invalid 'max_tokens': too small."),
        ("Invalid type for 'messages[0].content'.", "messages[0].content", "Invalid type for 'messages[0].content'."),
        ("Duplicate.", None, "Duplicate."),
    ],
)
def test_the_text_names_the_field(message: str, param: str | None, expected: str) -> None:
    """There is no field for the parameter, so the text has it."""
    assert json.loads(error_body(InvalidRequest(message, param=param), ""))["error"]["message"] == expected


def test_a_prompt_that_is_too_long_is_reported_in_anthropics_words() -> None:
    """Clients read both numbers from the text, to shorten the conversation."""
    message = json.loads(error_body(TokenLimit(2048, "messages").overflow(5000), ""))["error"]["message"]
    assert message.startswith("prompt is too long: 5000 tokens > 2048 maximum. ")
    rough = json.loads(error_body(TokenLimit(2048, "messages").overflow("at least 9000"), ""))["error"]["message"]
    assert rough.startswith("prompt is too long: 9000 tokens > 2048 maximum. ")
    assert json.loads(error_body(ContextOverflow("No."), ""))["error"]["message"] == "prompt is too long. No."


async def test_an_unknown_model_is_a_404() -> None:
    """The error of the registry is in Anthropic's format."""
    response = await post(model="nobody")
    assert (response.status, error_of(response)["type"]) == (404, "not_found_error")
    assert response.headers["x-should-retry"] == "false"


@pytest.mark.parametrize("refusal", [Overloaded("Full.", retry_after_s=3), RateLimited("Slow down.", retry_after_s=3)])
async def test_a_busy_server_says_when_to_retry(refusal: HomeportError) -> None:
    """A full queue is a 529 and a limit of the key a 429, both with the time to wait."""
    serving = FakeServing()
    serving.refusal = refusal
    response = await post(serving, stream=True)
    assert response.status == (529 if isinstance(refusal, Overloaded) else 429)
    assert response.headers["retry-after"] == "3"
    assert error_of(response)["type"] in ("overloaded_error", "rate_limit_error")


@pytest.mark.parametrize(
    ("body", "headers", "status", "kind"),
    [
        (b"{", {}, 400, "invalid_request_error"),
        (b"[]", {}, 400, "invalid_request_error"),
        (b"", {}, 400, "invalid_request_error"),
        (b"{}", {"content-type": "text/plain"}, 415, "invalid_request_error"),
        (b"x" * 2000, {}, 413, "request_too_large"),
    ],
)
async def test_bodies_that_cannot_be_read_are_refused(
    body: bytes, headers: Mapping[str, str], status: int, kind: str
) -> None:
    """Errors before the body is decoded have the same format."""
    app = build_application(services(limits=Limits(body_bytes=1000)))
    response = await call(app, "POST", PATH, body, headers)
    assert (response.status, error_of(response)["type"]) == (status, kind)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", PATH, 405), ("POST", f"{PATH}/nothing", 404), ("GET", f"{PATH}/batches", 404)],
)
async def test_other_paths_below_are_in_the_format_too(method: str, path: str, status: int) -> None:
    """What Anthropic's clients may ask for and is not served is refused in their format."""
    response = await call(build_application(services()), method, path)
    assert response.status == status
    error_of(response)


async def test_other_paths_keep_openais_format() -> None:
    """A path that only begins alike, and a chat, are answered as before."""
    for path in ("/v1/messagesx", "/v1/chat/completions"):
        response = await call(build_application(services()), "POST", path, b"{")
        assert response.error["message"]
        assert "request-id" not in response.headers


async def _send(headers: Mapping[str, str], **changes: Any) -> AsgiResponse:
    app = build_application(services(access=AccessPolicy.from_keys(key_cache=OneKey()), **changes))
    return await call(app, "POST", PATH, json.dumps(PLAIN).encode(), headers)


@pytest.mark.parametrize(
    "headers",
    [{"x-api-key": KEY}, {"authorization": f"Bearer {KEY}"}, {"authorization": f"Bearer {KEY}", "x-api-key": "other"}],
    ids=["x-api-key", "bearer", "both"],
)
async def test_a_key_may_be_in_either_header(headers: Mapping[str, str]) -> None:
    """Anthropic's clients send a key in a header of its own, or a token as OpenAI's do, which counts first."""
    response = await _send({**headers, "anthropic-version": "2023-06-01", "anthropic-beta": "a,b"})
    assert response.status == 200
    assert response.headers["anthropic-ratelimit-requests-limit"] == "1"
    assert response.headers["anthropic-ratelimit-requests-remaining"] == "0"
    assert response.headers["anthropic-ratelimit-requests-reset"].endswith("Z")


@pytest.mark.parametrize("headers", [{}, {"x-api-key": "sk-wrong"}, {"x-api-key": ""}], ids=["none", "wrong", "empty"])
async def test_without_a_valid_key_there_is_no_access(headers: Mapping[str, str]) -> None:
    """A missing or wrong key is a 401, and no key is repeated."""
    response = await _send(headers)
    assert (response.status, error_of(response)["type"]) == (401, "authentication_error")
    assert b"sk-wrong" not in response.body


async def test_a_key_that_is_used_up_is_a_429() -> None:
    """The limits of a key are those of all endpoints."""
    app = build_application(services(access=AccessPolicy.from_keys(key_cache=OneKey())))
    bodies = [await call(app, "POST", PATH, json.dumps(PLAIN).encode(), {"x-api-key": KEY}) for _ in range(2)]
    assert [response.status for response in bodies] == [200, 429]
    assert error_of(bodies[1])["type"] == "rate_limit_error"
