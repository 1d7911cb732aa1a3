"""The table from errors to responses."""

import pytest

from homeport.api.error_responses import STATUS, envelope, error_response
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
from tests.api.fakes import fields


def test_every_error_has_a_status() -> None:
    """Every class of the error tree has a status."""
    assert set(HomeportError.kinds().values()) == set(STATUS)


def test_envelope_has_openais_four_fields() -> None:
    """The body has message, type, param and code, even if these are null."""
    assert fields(envelope(InvalidRequest("No.", param="n"))) == {
        "error": {"message": "No.", "type": "invalid_request_error", "param": "n", "code": None}
    }
    assert b'"code":"context_length_exceeded"' in envelope(ContextOverflow("Long."))


@pytest.mark.parametrize("kind", STATUS, ids=lambda kind: kind.__name__)
def test_responses_tell_clients_whether_to_retry(kind: type[HomeportError]) -> None:
    """A refusal says that a retry is useless, or if the server is busy, when to retry."""
    response = error_response(kind("No."))
    retries = response.headers.get("x-should-retry") != "false"
    assert retries == (kind in (HomeportError, Conflict, RateLimited, Overloaded, EngineFailed, Unavailable))
    assert ("retry-after" in response.headers) == (retries and response.status_code in (429, 503))


@pytest.mark.parametrize(("seconds", "said"), [(None, "1"), (0.2, "1"), (2.1, "3"), (30, "30")])
def test_retry_after_is_whole_seconds(seconds: float | None, said: str) -> None:
    """`Retry-After` is rounded up to whole seconds, and never 0."""
    assert error_response(Overloaded("Full.", retry_after_s=seconds)).headers["retry-after"] == said


def test_spent_quota_is_not_retried() -> None:
    """An exceeded quota has OpenAI's type and code, says when it resets, and keeps clients from earlier retries."""
    response = error_response(QuotaExceeded("Spent.", retry_after_s=5000))
    assert response.headers["retry-after"] == "5000"
    assert response.headers["x-should-retry"] == "false"
    assert b'"type":"insufficient_quota"' in response.body
    assert b'"code":"insufficient_quota"' in response.body
