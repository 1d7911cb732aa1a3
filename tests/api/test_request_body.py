"""Bodies: their type, their size, and where they are decoded."""

import threading
from dataclasses import replace

import msgspec
import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from homeport.api.application import build_application
from homeport.api.json_response import JsonResponse
from homeport.api.request_body import LARGE_BYTES, read_json, run_in_thread_if_large
from homeport.api.request_context import context_of
from homeport.api.services import Limits
from tests.api.asgi import call
from tests.api.fakes import services

LIMIT = 1000


class Note(msgspec.Struct, forbid_unknown_fields=True):
    text: str


def reading(limit: int = LIMIT) -> ASGIApp:
    """The application with one more path, which returns the length of the text it receives."""
    app = build_application(replace(services(), limits=Limits(body_bytes=limit)))

    async def measure(request: Request) -> Response:
        context_of(request.scope).route = "/note"
        note = await read_json(request, Note)
        return JsonResponse({"length": len(note.text), "threads": threading.active_count()})

    app.router.routes.append(Route("/note", measure, methods=["POST"]))
    return app


@pytest.mark.parametrize("kind", ["application/json", "Application/JSON; charset=utf-8", "application/json;"])
async def test_json_is_read(kind: str) -> None:
    """JSON is read with any parameters of its content type, also in pieces."""
    response = await call(reading(), "POST", "/note", [b'{"text":', b'"abc"', b"}"], {"content-type": kind})
    assert response.json["length"] == 3


@pytest.mark.parametrize("kind", ["", "text/plain", "application/x-www-form-urlencoded", "application/jsonp"])
async def test_other_content_types_are_refused(kind: str) -> None:
    """Anything but JSON is a 415 that says what to send, which also refuses web forms."""
    response = await call(reading(), "POST", "/note", b'{"text":"abc"}', {"content-type": kind})
    assert response.status == 415
    assert response.error["message"].startswith(f"Invalid Content-Type header ({kind}), expected application/json.")


async def test_compressed_bodies_are_refused() -> None:
    """A compressed body is a 415 that names the encoding, not an error of the parser."""
    response = await call(reading(), "POST", "/note", b"\x1f\x8b", {"content-encoding": "gzip"})
    assert (response.status, response.error["code"]) == (415, "unsupported_content_encoding")


async def test_a_declared_size_over_the_limit_is_refused_unread() -> None:
    """A `Content-Length` over the limit is a 413 before anything is read."""
    response = await call(reading(), "POST", "/note", [b"", b"never"], {"content-length": str(LIMIT + 1)})
    assert (response.status, response.error["code"]) == (413, "request_too_large")
    assert response.headers["x-should-retry"] == "false"


@pytest.mark.parametrize("length", [str(LIMIT), "9" * 5000, "-1", "x"])
async def test_a_lying_content_length_does_not_help(length: str) -> None:
    """What arrives counts: reading stops at the limit, whatever was declared."""
    response = await call(reading(), "POST", "/note", [b'{"text":"', *[b"a" * 100] * 11], {"content-length": length})
    assert response.status == 413


async def test_a_body_of_exactly_the_limit_is_read() -> None:
    """A body at the limit is accepted."""
    body = b'{"text":"' + b"a" * (LIMIT - 11) + b'"}'
    assert len(body) == LIMIT
    assert (await call(reading(), "POST", "/note", body)).json["length"] == LIMIT - 11


async def test_large_bodies_are_decoded_in_a_thread() -> None:
    """A body over 256 kB is decoded in a thread, a small one is not."""
    small = await call(reading(10_000_000), "POST", "/note", b'{"text":"abc"}')
    large = await call(reading(10_000_000), "POST", "/note", b'{"text":"' + b"a" * LARGE_BYTES + b'"}')
    assert large.json["length"] == LARGE_BYTES
    assert large.json["threads"] > small.json["threads"]


async def test_errors_of_a_large_body_are_unchanged() -> None:
    """The error for a large body is the same as for a small one."""
    response = await call(reading(10_000_000), "POST", "/note", b'{"text":"' + b"a" * LARGE_BYTES + b'","x":1}')
    assert (response.status, response.error["param"]) == (400, "x")


@pytest.mark.parametrize(("size", "is_in_thread"), [(LARGE_BYTES - 100, False), (LARGE_BYTES + 100, True)])
async def test_a_large_body_is_processed_in_a_thread(size: int, is_in_thread: bool) -> None:
    """A large body is processed in a thread, a small one on the event loop."""
    app = build_application(services())

    async def received(request: Request) -> Response:
        context_of(request.scope).route = "/note"
        await read_json(request, Note)
        return JsonResponse(
            {"is_in_thread": await run_in_thread_if_large(request, threading.get_ident) != threading.get_ident()}
        )

    app.router.routes.append(Route("/note", received, methods=["POST"]))
    body = msgspec.json.encode({"text": "a" * size})
    assert (await call(app, "POST", "/note", body)).json["is_in_thread"] is is_in_thread


async def test_a_body_of_too_many_values_is_refused_before_it_is_decoded() -> None:
    """Nine million token ids are a 400 that says how many values may be sent."""
    body = b'{"model":"tiny","prompt":[' + b"1," * 9_000_000 + b"1]}"
    response = await call(build_application(services()), "POST", "/v1/completions", body)
    assert (response.status, response.error["code"]) == (400, "too_many_values")
