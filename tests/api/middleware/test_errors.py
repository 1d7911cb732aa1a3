"""Whatever is raised, the caller gets an error body, or the connection is closed."""

import errno
import logging
import os
from collections.abc import AsyncIterator

import pytest
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from homeport.api.application import build_application
from homeport.domain.errors import EngineFailed, Overloaded
from tests.api.asgi import call
from tests.api.fakes import services

SECRET = "the caller must not read this"


def failing(error: Exception) -> ASGIApp:
    """The application with one more path, which raises."""
    app = build_application(services())

    async def fail(request: Request) -> Response:
        raise error

    app.router.routes.append(Route("/fail", fail))
    return app


async def test_a_known_error_is_reported() -> None:
    """A `HomeportError` is answered with its status, message and headers."""
    response = await call(failing(Overloaded("Full.", retry_after_s=3)), "GET", "/fail")
    assert (response.status, response.error["code"], response.headers["retry-after"]) == (429, "server_overloaded", "3")


async def test_an_unexpected_error_is_logged_without_details_for_callers(caplog: pytest.LogCaptureFixture) -> None:
    """A bug is a 500 without details; the log has them, with the request id of the response."""
    response = await call(failing(RuntimeError(SECRET)), "GET", "/fail")
    assert (response.status, response.error["type"]) == (500, "server_error")
    assert SECRET.encode() not in response.body
    (record,) = [record for record in caplog.records if record.name == "homeport.errors"]
    assert response.headers["x-request-id"] in record.getMessage()
    assert response.headers["x-request-id"] in response.error["message"]
    assert record.exc_info
    assert SECRET in str(record.exc_info[1])


async def test_a_broken_engine_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """A failure of an engine is reported to the caller and logged."""
    response = await call(failing(EngineFailed("The worker died.")), "GET", "/fail")
    assert (response.status, response.error["message"]) == (500, "The worker died.")
    assert any(record.name == "homeport.errors" for record in caplog.records)


async def test_a_failure_after_the_first_byte_cuts_the_connection() -> None:
    """Once a response has started there is no second one: the error reaches the server, which disconnects."""
    app = build_application(services())

    async def parts() -> AsyncIterator[bytes]:
        yield b"first"
        raise EngineFailed("Too late.")

    async def stream(request: Request) -> Response:
        return StreamingResponse(parts())

    app.router.routes.append(Route("/fail", stream))
    with pytest.raises(EngineFailed, match=r"Too late\."):
        await call(app, "GET", "/fail")


async def test_a_disconnect_is_logged_and_not_answered(caplog: pytest.LogCaptureFixture) -> None:
    """A client that disconnects while it sends is no error: nothing is answered, and the log has a 499."""
    with caplog.at_level(logging.INFO), pytest.raises(IndexError):
        await call(failing(ClientDisconnect()), "GET", "/fail")
    (record,) = [record for record in caplog.records if record.name.startswith("homeport")]
    assert "status=499" in record.getMessage()


@pytest.mark.parametrize(
    ("number", "status", "code"),
    [
        (errno.ENOSPC, 507, "storage_full"),
        (errno.EDQUOT, 507, "storage_full"),
        (errno.EMFILE, 503, "too_many_open_files"),
        (errno.ENFILE, 503, "too_many_open_files"),
    ],
)
async def test_full_disks_and_descriptors_are_reported(
    caplog: pytest.LogCaptureFixture, number: int, status: int, code: str
) -> None:
    """A full disk is a 507 wherever it occurs, too many open files are a 503; the log has the traceback."""
    response = await call(failing(OSError(number, os.strerror(number), SECRET)), "GET", "/fail")
    assert (response.status, response.error["code"]) == (status, code)
    assert SECRET.encode() not in response.body
    assert any(record.exc_info for record in caplog.records if record.name == "homeport.errors")
