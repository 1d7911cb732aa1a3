"""Files that arrive in parts."""

import codecs
import hashlib
from pathlib import Path
from typing import Any

import pytest

from tests.api.files.file_app import LINES, FileApp

PLAIN = {"filename": "a.jsonl", "purpose": "fine-tune", "bytes": 3 * len(LINES), "mime_type": "text/jsonl"}


@pytest.fixture
def shelves(tmp_path: Path) -> FileApp:
    return FileApp(tmp_path)


async def begun(shelves: FileApp, **changed: object) -> str:
    said = await shelves.ask("POST", "/uploads", {**PLAIN, **changed})
    assert said.status == 200, said.body
    return str(said.json["id"])


async def part(shelves: FileApp, upload_id: str, content: bytes = LINES) -> str:
    said = await shelves.post(f"/uploads/{upload_id}/parts", files=[("data", content)])
    assert said.status == 200, said.body
    return str(said.json["id"])


async def test_parts_become_a_file_in_the_order_said(shelves: FileApp) -> None:
    """Parts in any order are assembled in the order of `part_ids`, checked by MD5, and become a file."""
    whole = b'{"prompt": "1", "completion": "b"}\n{"prompt": "2", "completion": "b"}\n'
    upload_id = await begun(shelves, bytes=len(whole))
    second = await part(shelves, upload_id, whole[20:])
    first = await part(shelves, upload_id, whole[:20])
    ids = {"part_ids": [first, second], "md5": hashlib.md5(whole, usedforsecurity=False).hexdigest()}
    said = (await shelves.ask("POST", f"/uploads/{upload_id}/complete", ids)).json
    assert (said["status"], said["id"], said["object"]) == ("completed", upload_id, "upload")
    assert said["file"] == (await shelves.ask("GET", f"/files/{said['file']['id']}")).json
    assert (said["file"]["filename"], said["file"]["bytes"]) == ("a.jsonl", len(whole))
    assert (await shelves.ask("GET", f"/files/{said['file']['id']}/content")).body == whole
    assert shelves.blobs() == [f"files/{said['file']['id']}"]
    assert shelves.is_spool_empty()


async def test_what_an_upload_says_of_itself(shelves: FileApp) -> None:
    """A new upload is pending for an hour, and has no file; a part names its upload."""
    said = (await shelves.ask("POST", "/uploads", PLAIN)).json
    assert (said["status"], said["file"], said["bytes"]) == ("pending", None, PLAIN["bytes"])
    assert said["expires_at"] == said["created_at"] + 3600
    received = (await shelves.post(f"/uploads/{said['id']}/parts", files=[("data", LINES)])).json
    assert (received["object"], received["upload_id"]) == ("upload.part", said["id"])


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
async def test_a_wrong_upload_is_named(shelves: FileApp, changed: dict[str, object], param: str) -> None:
    """Every field has its range, and unknown ones are refused."""
    said = await shelves.ask("POST", "/uploads", {**PLAIN, **changed})
    assert said.status == 400
    assert said.error["param"] == param


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"part_ids": []}, "part_ids"),
        ({"part_ids": ["part_x"]}, "part_ids[0]"),
        ({"part_ids": [0, 1]}, "part_ids"),
        ({"part_ids": [0, 1, 2], "md5": "0" * 32}, "md5"),
    ],
)
async def test_parts_that_do_not_fit_are_named(shelves: FileApp, body: dict[str, Any], param: str) -> None:
    """Unknown parts, too few bytes and a wrong checksum leave the upload pending and create no file."""
    upload_id = await begun(shelves)
    ids = [await part(shelves, upload_id) for _ in range(3)]
    named = [ids[each] if isinstance(each, int) else each for each in body["part_ids"]]
    said = await shelves.ask("POST", f"/uploads/{upload_id}/complete", {**body, "part_ids": named})
    assert said.status == 400
    assert said.error["param"] == param
    assert (await shelves.ask("GET", "/files")).json["data"] == []
    assert (await shelves.ask("POST", f"/uploads/{upload_id}/complete", {"part_ids": ids})).status == 200


async def test_a_bad_line_is_found_at_the_end(shelves: FileApp) -> None:
    """The assembled upload is checked like a file that was sent at once."""
    content = LINES + b"{}" + LINES
    upload_id = await begun(shelves, bytes=len(content))
    said = await shelves.ask(
        "POST", f"/uploads/{upload_id}/complete", {"part_ids": [await part(shelves, upload_id, content)]}
    )
    assert said.status == 400
    assert "Line 2" in said.error["message"]


async def test_more_than_was_said_is_refused(shelves: FileApp) -> None:
    """The parts may not have more bytes in total than the upload declared."""
    upload_id = await begun(shelves, bytes=len(LINES))
    await part(shelves, upload_id)
    said = await shelves.post(f"/uploads/{upload_id}/parts", files=[("data", b"x")])
    assert (said.status, said.error["param"]) == (400, "data")
    assert len(shelves.blobs()) == 1


async def test_an_ended_upload_takes_nothing(shelves: FileApp) -> None:
    """A cancelled, completed or expired upload accepts no part and no completion, and has no part left."""
    cancelled, late = await begun(shelves), await begun(shelves)
    done = await begun(shelves, bytes=len(LINES))
    ids = [await part(shelves, each) for each in (cancelled, late, done)]
    assert (await shelves.ask("POST", f"/uploads/{cancelled}/cancel")).json["status"] == "cancelled"
    assert (await shelves.ask("POST", f"/uploads/{done}/complete", {"part_ids": ids[2:]})).status == 200
    shelves.now += 3600
    for upload_id in (cancelled, late, done):
        for said in (
            await shelves.post(f"/uploads/{upload_id}/parts", files=[("data", LINES)]),
            await shelves.ask("POST", f"/uploads/{upload_id}/complete", {"part_ids": ids}),
            await shelves.ask("POST", f"/uploads/{upload_id}/cancel"),
        ):
            assert (said.status, said.error["code"]) == (400, "upload_ended")
    shelves.uploads.sweep()
    assert [name for name in shelves.blobs() if name.startswith("uploads/")] == []


async def test_another_projects_upload_is_not_there(shelves: FileApp) -> None:
    """For another project's key an upload is a 404 everywhere."""
    upload_id = await begun(shelves)
    for said in (
        await shelves.post(f"/uploads/{upload_id}/parts", files=[("data", LINES)], project="other"),
        await shelves.ask("POST", f"/uploads/{upload_id}/complete", {"part_ids": ["x"]}, project="other"),
        await shelves.ask("POST", f"/uploads/{upload_id}/cancel", project="other"),
    ):
        assert (said.status, said.error["code"]) == (404, "upload_not_found")


async def test_a_part_is_data_and_nothing_else(shelves: FileApp) -> None:
    """A part without its data, or with other fields, is a 400 that names the field."""
    upload_id = await begun(shelves)
    missing = await shelves.post(f"/uploads/{upload_id}/parts", files=[])
    assert (missing.status, missing.error["param"]) == (400, "data")
    odd = await shelves.post(f"/uploads/{upload_id}/parts", [("colour", "red")], [("data", LINES)])
    assert (odd.status, odd.error["param"]) == (400, "colour")


async def test_parts_that_begin_with_a_byte_order_mark_become_a_file(shelves: FileApp) -> None:
    """A file with a byte order mark is checked without it, and downloaded with it."""
    whole = codecs.BOM_UTF8 + LINES
    upload_id = await begun(shelves, bytes=len(whole))
    ids = [await part(shelves, upload_id, piece) for piece in (whole[:2], whole[2:])]
    said = await shelves.ask("POST", f"/uploads/{upload_id}/complete", {"part_ids": ids})
    assert said.status == 200, said.body
    assert (await shelves.ask("GET", f"/files/{said.json['file']['id']}/content")).body == whole
