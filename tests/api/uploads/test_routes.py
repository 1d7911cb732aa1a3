"""Files that arrive in parts."""

import codecs
import hashlib
from pathlib import Path
from typing import Any

import pytest

from tests.api.files.file_app import LINES, FileApp

PLAIN = {"filename": "a.jsonl", "purpose": "fine-tune", "bytes": 3 * len(LINES), "mime_type": "text/jsonl"}


@pytest.fixture
def file_app(tmp_path: Path) -> FileApp:
    return FileApp(tmp_path)


async def start_upload(file_app: FileApp, **changed: object) -> str:
    response = await file_app.ask("POST", "/uploads", {**PLAIN, **changed})
    assert response.status == 200, response.body
    return str(response.json["id"])


async def part(file_app: FileApp, upload_id: str, content: bytes = LINES) -> str:
    response = await file_app.post(f"/uploads/{upload_id}/parts", files=[("data", content)])
    assert response.status == 200, response.body
    return str(response.json["id"])


async def test_parts_are_assembled_in_the_given_order(file_app: FileApp) -> None:
    """Parts in any order are assembled in the order of `part_ids`, checked by MD5, and become a file."""
    whole = b'{"prompt": "1", "completion": "b"}\n{"prompt": "2", "completion": "b"}\n'
    upload_id = await start_upload(file_app, bytes=len(whole))
    second = await part(file_app, upload_id, whole[20:])
    first = await part(file_app, upload_id, whole[:20])
    ids = {"part_ids": [first, second], "md5": hashlib.md5(whole, usedforsecurity=False).hexdigest()}
    response = (await file_app.ask("POST", f"/uploads/{upload_id}/complete", ids)).json
    assert (response["status"], response["id"], response["object"]) == ("completed", upload_id, "upload")
    assert response["file"] == (await file_app.ask("GET", f"/files/{response['file']['id']}")).json
    assert (response["file"]["filename"], response["file"]["bytes"]) == ("a.jsonl", len(whole))
    assert (await file_app.ask("GET", f"/files/{response['file']['id']}/content")).body == whole
    assert file_app.blobs() == [f"files/{response['file']['id']}"]
    assert file_app.is_spool_empty()


async def test_a_new_upload_is_described(file_app: FileApp) -> None:
    """A new upload is pending for an hour, and has no file; a part names its upload."""
    response = (await file_app.ask("POST", "/uploads", PLAIN)).json
    assert (response["status"], response["file"], response["bytes"]) == ("pending", None, PLAIN["bytes"])
    assert response["expires_at"] == response["created_at"] + 3600
    received = (await file_app.post(f"/uploads/{response['id']}/parts", files=[("data", LINES)])).json
    assert (received["object"], received["upload_id"]) == ("upload.part", response["id"])


@pytest.mark.parametrize(
    ("changed", "param"),
    [
        ({"purpose": "fun"}, "purpose"),
        ({"bytes": 0}, "bytes"),
        ({"bytes": 9 * 1024**3}, "bytes"),
        ({"bytes": 300_000_000, "purpose": "batch"}, "bytes"),
        ({"filename": ""}, "filename"),
        ({"mime_type": "image/png"}, "mime_type"),
        ({"mime_type": "text/plain", "purpose": "vision"}, "mime_type"),
        ({"expires_after": {"anchor": "created_at", "seconds": 1}}, "expires_after.seconds"),
        ({"colour": "red"}, "colour"),
    ],
)
async def test_a_wrong_upload_is_named(file_app: FileApp, changed: dict[str, object], param: str) -> None:
    """Every field has its range, and unknown ones are refused."""
    response = await file_app.ask("POST", "/uploads", {**PLAIN, **changed})
    assert response.status == 400
    assert response.error["param"] == param


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"part_ids": []}, "part_ids"),
        ({"part_ids": ["part_x"]}, "part_ids[0]"),
        ({"part_ids": [0, 1]}, "part_ids"),
        ({"part_ids": [0, 1, 2], "md5": "0" * 32}, "md5"),
    ],
)
async def test_parts_that_do_not_fit_are_named(file_app: FileApp, body: dict[str, Any], param: str) -> None:
    """Unknown parts, too few bytes and a wrong checksum leave the upload pending and create no file."""
    upload_id = await start_upload(file_app)
    ids = [await part(file_app, upload_id) for _ in range(3)]
    named = [ids[each] if isinstance(each, int) else each for each in body["part_ids"]]
    response = await file_app.ask("POST", f"/uploads/{upload_id}/complete", {**body, "part_ids": named})
    assert response.status == 400
    assert response.error["param"] == param
    assert (await file_app.ask("GET", "/files")).json["data"] == []
    assert (await file_app.ask("POST", f"/uploads/{upload_id}/complete", {"part_ids": ids})).status == 200


async def test_a_bad_line_is_found_at_the_end(file_app: FileApp) -> None:
    """The assembled upload is checked like a file that was sent at once."""
    content = LINES + b"{}" + LINES
    upload_id = await start_upload(file_app, bytes=len(content))
    response = await file_app.ask(
        "POST", f"/uploads/{upload_id}/complete", {"part_ids": [await part(file_app, upload_id, content)]}
    )
    assert response.status == 400
    assert "Line 2" in response.error["message"]


async def test_more_bytes_than_declared_are_refused(file_app: FileApp) -> None:
    """The parts may not have more bytes in total than the upload declared."""
    upload_id = await start_upload(file_app, bytes=len(LINES))
    await part(file_app, upload_id)
    response = await file_app.post(f"/uploads/{upload_id}/parts", files=[("data", b"x")])
    assert (response.status, response.error["param"]) == (400, "data")
    assert len(file_app.blobs()) == 1


async def test_an_ended_upload_accepts_nothing(file_app: FileApp) -> None:
    """A cancelled, completed or expired upload accepts no part and no completion, and has no part left."""
    cancelled, late = await start_upload(file_app), await start_upload(file_app)
    done = await start_upload(file_app, bytes=len(LINES))
    ids = [await part(file_app, each) for each in (cancelled, late, done)]
    assert (await file_app.ask("POST", f"/uploads/{cancelled}/cancel")).json["status"] == "cancelled"
    assert (await file_app.ask("POST", f"/uploads/{done}/complete", {"part_ids": ids[2:]})).status == 200
    file_app.now += 3600
    for upload_id in (cancelled, late, done):
        for response in (
            await file_app.post(f"/uploads/{upload_id}/parts", files=[("data", LINES)]),
            await file_app.ask("POST", f"/uploads/{upload_id}/complete", {"part_ids": ids}),
            await file_app.ask("POST", f"/uploads/{upload_id}/cancel"),
        ):
            assert (response.status, response.error["code"]) == (400, "upload_ended")
    file_app.uploads.sweep()
    assert [name for name in file_app.blobs() if name.startswith("uploads/")] == []


async def test_another_projects_upload_is_not_there(file_app: FileApp) -> None:
    """For another project's key an upload is a 404 everywhere."""
    upload_id = await start_upload(file_app)
    for response in (
        await file_app.post(f"/uploads/{upload_id}/parts", files=[("data", LINES)], project="other"),
        await file_app.ask("POST", f"/uploads/{upload_id}/complete", {"part_ids": ["x"]}, project="other"),
        await file_app.ask("POST", f"/uploads/{upload_id}/cancel", project="other"),
    ):
        assert (response.status, response.error["code"]) == (404, "upload_not_found")


async def test_a_part_is_data_and_nothing_else(file_app: FileApp) -> None:
    """A part without its data, or with other fields, is a 400 that names the field."""
    upload_id = await start_upload(file_app)
    missing = await file_app.post(f"/uploads/{upload_id}/parts", files=[])
    assert (missing.status, missing.error["param"]) == (400, "data")
    odd = await file_app.post(f"/uploads/{upload_id}/parts", [("colour", "red")], [("data", LINES)])
    assert (odd.status, odd.error["param"]) == (400, "colour")


async def test_parts_that_begin_with_a_byte_order_mark_become_a_file(file_app: FileApp) -> None:
    """A file with a byte order mark is checked without it, and downloaded with it."""
    whole = codecs.BOM_UTF8 + LINES
    upload_id = await start_upload(file_app, bytes=len(whole))
    ids = [await part(file_app, upload_id, piece) for piece in (whole[:2], whole[2:])]
    response = await file_app.ask("POST", f"/uploads/{upload_id}/complete", {"part_ids": ids})
    assert response.status == 200, response.body
    assert (await file_app.ask("GET", f"/files/{response.json['file']['id']}/content")).body == whole
