"""The storage limit, as callers see it."""

from pathlib import Path

from homeport.api.access_policy import AccessPolicy
from homeport.api.application import build_application
from homeport.store.project_storage import SqlProjectStorage
from tests.api.asgi import call
from tests.api.fakes import services
from tests.api.files.file_app import LINES, FileApp


def limited(folder: Path, limit: int) -> FileApp:
    """Files of projects with this limit in bytes."""
    shelves = FileApp(folder)
    shelves.files.storage = SqlProjectStorage(shelves.database, limit)
    return shelves


async def test_a_file_beyond_the_limit_is_refused(tmp_path: Path) -> None:
    """Over the limit is a 400 that says what is stored and what the limit is; nothing is stored."""
    shelves = limited(tmp_path, len(LINES) + 10)
    await shelves.sent()
    said = await shelves.post("/files", [("purpose", "fine-tune")], [("file", LINES)])
    assert said.status == 400
    assert (said.error["type"], said.error["code"]) == ("invalid_request_error", "storage_limit_exceeded")
    assert said.error["param"] == "file"
    assert str(len(LINES) + 10) in said.error["message"]
    assert len(shelves.blobs()) == 1
    assert shelves.is_spool_empty()
    assert (await shelves.post("/files", [("purpose", "fine-tune")], [("file", LINES)], "other")).status == 200


async def test_what_is_surely_too_large_is_not_read(tmp_path: Path) -> None:
    """A form is refused by its declared length before its body is read."""
    shelves = limited(tmp_path, 1000)
    headers = {
        "authorization": f"Bearer {shelves.secrets['one']}",
        "content-type": "multipart/form-data; boundary=x",
        "content-length": "500000",
    }
    said = await call(shelves.app, "POST", "/v1/files", b"", headers=headers)
    assert (said.status, said.error["code"]) == (400, "storage_limit_exceeded")
    assert shelves.is_spool_empty()


async def test_an_upload_and_its_parts_are_refused(tmp_path: Path) -> None:
    """An upload is refused by its declared size, a part by its own."""
    shelves = limited(tmp_path, 100)
    body = {"filename": "a", "purpose": "user_data", "bytes": 90, "mime_type": "text/plain"}
    begun = (await shelves.ask("POST", "/uploads", body)).json
    assert (await shelves.ask("POST", "/uploads", {**body, "bytes": 101})).error["param"] == "bytes"
    await shelves.sent(LINES * 2)
    said = await shelves.post(f"/uploads/{begun['id']}/parts", [], [("data", b"x" * 50)])
    assert (said.status, said.error["code"], said.error["param"]) == (400, "storage_limit_exceeded", "data")


async def test_an_operator_sees_what_projects_keep(tmp_path: Path) -> None:
    """`/admin/v1/storage` lists each project that stores anything, with its limit."""
    shelves = limited(tmp_path, 1000)
    await shelves.sent()
    given = {
        **shelves.services,
        "access": AccessPolicy.from_keys(admin_keys=["admin-key"]),
        "storage": shelves.files.storage,
    }
    said = await call(
        build_application(services(**given)), "GET", "/admin/v1/storage", headers={"authorization": "Bearer admin-key"}
    )
    assert said.json == {
        "object": "list",
        "data": [
            {
                "project": "one",
                "files": len(LINES),
                "parts": 0,
                "pictures": 0,
                "models": 0,
                "limit": 1000,
                "total": len(LINES),
            }
        ],
    }
