"""Incoming forms: fields by their names, files on disk while the response is made, limits first."""

import stat
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from homeport.api import forms
from homeport.api.application import build_application
from homeport.api.form_values import Form
from tests.api.asgi import AsgiResponse, call
from tests.api.fakes import services
from tests.api.form_bodies import HEADERS, form, is_empty

WAV = b"RIFF" + bytes(3000)


def application(spool: Path) -> Starlette:
    """An application whose only route describes a form, with the usual middleware."""
    app = build_application(services(spool=spool))
    app.router.routes.append(Route("/form", _Form()))
    return app


class _Form:
    """Describes a form, as an ASGI endpoint that Starlette does not wrap."""

    async def __call__(self, scope: dict[str, object], receive: object, send: object) -> None:
        """Answer one form."""
        response = await _told(Request(scope, receive))  # type: ignore[arg-type]
        await response(scope, receive, send)  # type: ignore[arg-type]


async def _told(request: Request) -> Response:
    async def answer(read: Form) -> Response:
        upload = read.file("file")
        mode = stat.S_IMODE(upload.path.stat().st_mode) | stat.S_IMODE(upload.path.parent.stat().st_mode)
        is_whole = upload.path.read_bytes() == WAV
        received = {"values": dict(read.values), "whole": is_whole, "open": mode & 0o077, "path": str(upload.path)}
        return JSONResponse({**received, "size": upload.size, "name": upload.name})

    return await forms.respond_to_form(request, answer)


async def send(spool: Path, body: bytes | list[bytes], **headers: str) -> AsgiResponse:
    """Post a form."""
    return await call(application(spool), "POST", "/form", body, {**HEADERS, **headers})


async def test_fields_are_lists_mappings_or_text(tmp_path: Path) -> None:
    """`a[]` and a repeated `a` are lists, `a[b]` is a mapping, and all else is text."""
    fields = [("one", "1"), ("many[]", "a"), ("many[]", "b"), ("again", "x"), ("again", "y"), ("map[k]", "v")]
    response = await send(tmp_path, form(fields, [("file", WAV)]))
    assert response.json["values"] == {"one": "1", "many": ["a", "b"], "again": ["x", "y"], "map": {"k": "v"}}


async def test_a_file_is_private_and_deleted_afterwards(tmp_path: Path) -> None:
    """A file is complete while the response is made, private, and deleted afterwards."""
    response = await send(tmp_path, form([], [("file", WAV)]))
    assert response.json["whole"]
    assert response.json["open"] == 0
    assert (response.json["size"], response.json["name"]) == (len(WAV), "a.wav")
    assert is_empty(tmp_path)


async def test_a_body_in_pieces_without_a_length_is_read(tmp_path: Path) -> None:
    """Chunked transfer needs no Content-Length."""
    body = form([("one", "1")], [("file", WAV)])
    response = await send(tmp_path, [body[i : i + 700] for i in range(0, len(body), 700)])
    assert response.json["whole"]


@pytest.mark.parametrize(
    ("files", "code"),
    [([], "missing_required_parameter"), ([("file", b"")], "empty_file"), ([("file", WAV), ("file", WAV)], None)],
)
async def test_a_field_needs_one_file_that_is_not_empty(
    tmp_path: Path, files: list[tuple[str, bytes]], code: str | None
) -> None:
    """No file, an empty one, or two are a 400 that names the field."""
    response = await send(tmp_path, form([], files))
    assert response.status == 400
    assert (response.error["param"], response.error["code"]) == ("file", code)


async def test_a_form_over_the_limit_is_refused_early(tmp_path: Path) -> None:
    """A length over the limit is refused by its header; without one, as soon as the limit is exceeded."""
    body = form([], [("file", bytes(26 * 1024 * 1024))])
    for headers in ({"content-length": str(len(body))}, {}):
        response = await send(tmp_path, [body[i : i + 1_000_000] for i in range(0, len(body), 1_000_000)], **headers)
        assert response.status == 413
        assert response.error["code"] == "content_size_exceeded"
    assert is_empty(tmp_path)


async def test_another_kind_of_body_is_refused(tmp_path: Path) -> None:
    """JSON in place of a form is a 415 with an error body."""
    response = await call(application(tmp_path), "POST", "/form", b"{}")
    assert response.status == 415
    assert response.error["code"] == "unsupported_content_type"


@pytest.mark.parametrize("body", [b"", b"nonsense", form([], [("file", WAV)])[:200]])
async def test_a_broken_form_is_a_400(tmp_path: Path, body: bytes) -> None:
    """An incomplete form is refused with an error body."""
    response = await send(tmp_path, body)
    assert response.status == 400
    assert response.error["type"] == "invalid_request_error"


@pytest.mark.parametrize("sound", [b"\xff\xfb\x90", b"a" * 1_000_001])
async def test_a_file_part_without_a_filename_is_refused(tmp_path: Path, sound: bytes) -> None:
    """A part without a filename that cannot be text is a 400 which says that a file needs one."""
    body = form([], [("file", sound)]).replace(b'; filename="a.wav"', b"")
    response = await send(tmp_path, body)
    assert (response.status, response.error["param"]) == (400, "file")
    assert "has no filename" in response.error["message"]


@pytest.mark.parametrize("fields", [[("a", "1"), ("a[b]", "2")], [("a[b][c]", "1")], [("a[b]", "1"), ("a[b]", "2")]])
async def test_names_that_contradict_each_other_are_refused(tmp_path: Path, fields: list[tuple[str, str]]) -> None:
    """A name that is both a value and a mapping, or is nested too deeply, is a 400."""
    response = await send(tmp_path, form(fields, [("file", WAV)]))
    assert response.status == 400
    assert response.error["param"] == "a"


async def test_a_file_field_may_be_written_as_a_list(tmp_path: Path) -> None:
    """`file[]` and `file[0]` are the field `file`."""
    for name in ("file[]", "file[0]"):
        response = await send(tmp_path, form([], [(name, WAV)]))
        assert response.status == 200, response.body


async def test_an_empty_file_part_is_ignored(tmp_path: Path) -> None:
    """A part with an empty filename and no content, as browsers send without a choice, is no file."""
    body = form([], [("file", WAV)])
    nothing = body[: body.index(b"Content-Type")].replace(b'"a.wav"', b'""') + b"\r\n\r\n"
    response = await send(tmp_path, nothing + body)
    assert response.status == 200, response.body


BOUNDARIES = ["a" * 257, "a" * 30_000, "", '""', "*=utf-8''%E4%BD%A0"]


@pytest.mark.parametrize("boundary", BOUNDARIES, ids=lambda boundary: boundary[:20])
async def test_a_boundary_that_is_none_is_a_400(tmp_path: Path, boundary: str) -> None:
    """A boundary that is too long or empty is refused with an error body."""
    response = await send(
        tmp_path, form([], [("file", WAV)]), **{"content-type": f"multipart/form-data; boundary={boundary}"}
    )
    assert response.status == 400
    assert response.error["message"].startswith("We could not parse the form: ")
    assert len(response.error["message"]) < 200
