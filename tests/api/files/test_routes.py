"""Files are created, listed, described, downloaded and deleted; a project sees only its own."""

from pathlib import Path
from typing import Any

import pytest

from homeport.api.files.convert import BATCH_KEEP_S
from tests.api.asgi import call
from tests.api.files.file_app import LINES, FileApp


@pytest.fixture
def file_app(tmp_path: Path) -> FileApp:
    return FileApp(tmp_path)


async def test_a_file_is_described_and_downloaded_unchanged(file_app: FileApp) -> None:
    """A file is described with the fields of 2023 and of today, and its content is the same bytes under its name."""
    content = bytes(range(256)) * 3000
    sent = await file_app.upload_file(content, "user_data")
    assert sent == {
        "id": sent["id"],
        "object": "file",
        "bytes": len(content),
        "created_at": 1_700_000_000,
        "expires_at": None,
        "filename": "a.wav",
        "purpose": "user_data",
        "status": "processed",
        "status_details": None,
    }
    assert (await file_app.ask("GET", f"/files/{sent['id']}")).json == sent
    response = await file_app.ask("GET", f"/files/{sent['id']}/content")
    assert response.body == content
    assert response.headers["content-length"] == str(len(content))
    assert "a.wav" in response.headers["content-disposition"]
    assert file_app.is_spool_empty()


async def test_a_file_to_train_on_is_uploaded_and_then_processed(file_app: FileApp) -> None:
    """A file for fine-tuning is first `uploaded`, as clients of 2023 expect, and soon `processed`, in lists too."""
    sent = await file_app.upload_file()
    path = f"/files/{sent['id']}"
    assert sent["status"] == (await file_app.ask("GET", path)).json["status"] == "uploaded"
    assert (await file_app.ask("GET", "/files")).json["data"][0]["status"] == "uploaded"
    assert (await file_app.ask("GET", f"{path}/content")).status == 200
    file_app.now += 5
    assert (await file_app.ask("GET", path)).json == {**sent, "status": "processed"}
    assert (await file_app.ask("GET", "/files")).json["data"][0]["status"] == "processed"


async def test_a_deleted_file_is_gone(file_app: FileApp) -> None:
    """A deleted file is a 404 everywhere, and its content is deleted."""
    file_id = (await file_app.upload_file())["id"]
    assert (await file_app.ask("DELETE", f"/files/{file_id}")).json == {
        "id": file_id,
        "object": "file",
        "deleted": True,
    }
    for method, path in (("GET", ""), ("GET", "/content"), ("DELETE", "")):
        response = await file_app.ask(method, f"/files/{file_id}{path}")
        assert (response.status, response.error["code"]) == (404, "file_not_found")
    assert file_app.blobs() == []


async def test_another_projects_file_is_not_there(file_app: FileApp) -> None:
    """For another project's key a file is a 404 and in no list; another key of its project finds it."""
    file_id = (await file_app.upload_file())["id"]
    for method, path in (("GET", ""), ("GET", "/content"), ("DELETE", "")):
        assert (await file_app.ask(method, f"/files/{file_id}{path}", project="other")).status == 404
    assert (await file_app.ask("GET", "/files", project="other")).json["data"] == []
    assert (await file_app.ask("GET", "/files", project="other", after=file_id)).status == 400
    assert (await file_app.ask("GET", f"/files/{file_id}")).status == 200


async def test_lists_have_pages(file_app: FileApp) -> None:
    """Files are listed newest or oldest first, page by page, of one purpose or all."""
    ids = [(await file_app.upload_file(purpose=purpose))["id"] for purpose in ("fine-tune", "batch", "fine-tune")]
    listed = (await file_app.ask("GET", "/files")).json
    assert [file["id"] for file in listed["data"]] == ids[::-1]
    assert (listed["object"], listed["first_id"], listed["last_id"]) == ("list", ids[2], ids[0])
    assert not listed["has_more"]
    page = (await file_app.ask("GET", "/files", limit=2, order="asc")).json
    assert ([file["id"] for file in page["data"]], page["has_more"]) == (ids[:2], True)
    rest = (await file_app.ask("GET", "/files", limit=2, order="asc", after=page["last_id"])).json
    assert ([file["id"] for file in rest["data"]], rest["has_more"]) == (ids[2:], False)
    batches = (await file_app.ask("GET", "/files", purpose="batch")).json
    assert [file["id"] for file in batches["data"]] == [ids[1]]
    empty = (await file_app.ask("GET", "/files", purpose="vision")).json
    assert (empty["data"], empty["first_id"], empty["last_id"]) == ([], None, None)


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ({"limit": 0}, "limit"),
        ({"limit": 10_001}, "limit"),
        ({"order": "up"}, "order"),
        ({"after": "file-x"}, "after"),
        ({"colour": "red"}, "colour"),
    ],
)
async def test_a_wrong_list_is_named(file_app: FileApp, query: dict[str, Any], param: str) -> None:
    """Every parameter has its range, and unknown ones are refused."""
    response = await file_app.ask("GET", "/files", **query)
    assert response.status == 400
    assert response.error["param"] == param


@pytest.mark.parametrize(
    ("fields", "files", "param"),
    [
        ([], [("file", LINES)], "purpose"),
        ([("purpose", "fun")], [("file", LINES)], "purpose"),
        ([("purpose", "fine-tune")], [], "file"),
        ([("purpose", "fine-tune")], [("file", b"")], "file"),
        ([("purpose", "fine-tune")], [("file", LINES), ("file", LINES)], "file"),
        ([("purpose", "fine-tune")], [("file", LINES + b"{}")], "file"),
        ([("purpose", "fine-tune"), ("colour", "red")], [("file", LINES)], "colour"),
        ([("purpose", "user_data"), ("expires_after[anchor]", "now")], [("file", LINES)], "expires_after.seconds"),
        (
            [("purpose", "user_data"), ("expires_after[anchor]", "now"), ("expires_after[seconds]", "3600")],
            [("file", LINES)],
            "expires_after.anchor",
        ),
        (
            [("purpose", "user_data"), ("expires_after[anchor]", "created_at"), ("expires_after[seconds]", "3599")],
            [("file", LINES)],
            "expires_after.seconds",
        ),
    ],
)
async def test_a_wrong_file_is_named_and_not_kept(
    file_app: FileApp, fields: list[tuple[str, str]], files: list[tuple[str, bytes]], param: str
) -> None:
    """A missing, unknown or invalid field, and a file that does not fit its purpose, is a 400."""
    response = await file_app.post("/files", fields, files)
    assert response.status == 400
    assert response.error["param"] == param
    assert (await file_app.ask("GET", "/files")).json["data"] == []
    assert file_app.blobs() == []
    assert file_app.is_spool_empty()


async def test_the_bad_line_is_in_the_answer(file_app: FileApp) -> None:
    """The error for a file with an invalid line names the line."""
    response = await file_app.post("/files", [("purpose", "fine-tune")], [("file", LINES * 41 + b"{}\n")])
    assert "Line 42" in response.error["message"]


async def test_too_large_a_file_is_413(tmp_path: Path) -> None:
    """A file over the server's limit is refused while it arrives."""
    file_app = FileApp(tmp_path, file_bytes=1000)
    response = await file_app.post("/files", [("purpose", "user_data")], [("file", bytes(200_000))])
    assert response.status == 413
    assert file_app.is_spool_empty()


async def test_files_expire(file_app: FileApp) -> None:
    """An expired file is a 404 at once, and deleted at the next sweep."""
    after: dict[str, Any] = {"expires_after[anchor]": "created_at", "expires_after[seconds]": "3600"}
    short = await file_app.upload_file(purpose="user_data", **after)
    batch = await file_app.upload_file(purpose="batch")
    assert short["expires_at"] == short["created_at"] + 3600
    assert batch["expires_at"] == batch["created_at"] + BATCH_KEEP_S
    file_app.now += 3600
    assert (await file_app.ask("GET", f"/files/{short['id']}")).status == 404
    assert [file["id"] for file in (await file_app.ask("GET", "/files")).json["data"]] == [batch["id"]]
    file_app.files.sweep()
    assert file_app.blobs() == [f"files/{batch['id']}"]


async def test_a_name_with_anything_in_it_is_only_a_name(file_app: FileApp) -> None:
    """A file's name is returned unchanged, and never used as a path."""
    body = b'--b\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nuser_data\r\n--b\r\n'
    body += 'Content-Disposition: form-data; name="file"; filename="../../名 x.txt"\r\n\r\nhello\r\n--b--\r\n'.encode()
    headers = {"content-type": "multipart/form-data; boundary=b", "authorization": f"Bearer {file_app.secrets['one']}"}
    sent = (await call(file_app.app, "POST", "/v1/files", body, headers=headers)).json
    assert sent["filename"].endswith("名 x.txt")
    response = await file_app.ask("GET", f"/files/{sent['id']}/content")
    assert response.body == b"hello"
    assert "%E5%90%8D%20x.txt" in response.headers["content-disposition"]
    assert file_app.blobs() == [f"files/{sent['id']}"]


async def test_missing_content_is_a_404(file_app: FileApp) -> None:
    """If the content of a file is missing, the answer is a 404 that says so."""
    file_id = (await file_app.upload_file())["id"]
    (file_app.folder / "blobs" / "files" / file_id).unlink()
    response = await file_app.ask("GET", f"/files/{file_id}/content")
    assert (response.status, response.error["code"]) == (404, "file_content_missing")
