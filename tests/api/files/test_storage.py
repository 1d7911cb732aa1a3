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
    file_app = FileApp(folder)
    file_app.files.storage = SqlProjectStorage(file_app.database, limit)
    return file_app


async def test_a_file_beyond_the_limit_is_refused(tmp_path: Path) -> None:
    """Over the limit is a 400 that says what is stored and what the limit is; nothing is stored."""
    file_app = limited(tmp_path, len(LINES) + 10)
    await file_app.upload_file()
    response = await file_app.post("/files", [("purpose", "fine-tune")], [("file", LINES)])
    assert response.status == 400
    assert (response.error["type"], response.error["code"]) == ("invalid_request_error", "storage_limit_exceeded")
    assert response.error["param"] == "file"
    assert str(len(LINES) + 10) in response.error["message"]
    assert len(file_app.blobs()) == 1
    assert file_app.is_spool_empty()
    assert (await file_app.post("/files", [("purpose", "fine-tune")], [("file", LINES)], "other")).status == 200


async def test_what_is_surely_too_large_is_not_read(tmp_path: Path) -> None:
    """A form is refused by its declared length before its body is read."""
    file_app = limited(tmp_path, 1000)
    headers = {
        "authorization": f"Bearer {file_app.secrets['one']}",
        "content-type": "multipart/form-data; boundary=x",
        "content-length": "500000",
    }
    response = await call(file_app.app, "POST", "/v1/files", b"", headers=headers)
    assert (response.status, response.error["code"]) == (400, "storage_limit_exceeded")
    assert file_app.is_spool_empty()


async def test_an_upload_and_its_parts_are_refused(tmp_path: Path) -> None:
    """An upload is refused by its declared size, a part by its own."""
    file_app = limited(tmp_path, 100)
    body = {"filename": "a", "purpose": "user_data", "bytes": 90, "mime_type": "text/plain"}
    begun = (await file_app.ask("POST", "/uploads", body)).json
    assert (await file_app.ask("POST", "/uploads", {**body, "bytes": 101})).error["param"] == "bytes"
    await file_app.upload_file(LINES * 2)
    response = await file_app.post(f"/uploads/{begun['id']}/parts", [], [("data", b"x" * 50)])
    assert (response.status, response.error["code"], response.error["param"]) == (400, "storage_limit_exceeded", "data")


async def test_an_operator_sees_what_projects_keep(tmp_path: Path) -> None:
    """`/admin/v1/storage` lists each project that stores anything, with its limit."""
    file_app = limited(tmp_path, 1000)
    await file_app.upload_file()
    given = {
        **file_app.services,
        "access": AccessPolicy.from_keys(admin_keys=["admin-key"]),
        "storage": file_app.files.storage,
    }
    response = await call(
        build_application(services(**given)), "GET", "/admin/v1/storage", headers={"authorization": "Bearer admin-key"}
    )
    assert response.json == {
        "object": "list",
        "data": [
            {
                "project": "one",
                "files": len(LINES),
                "parts": 0,
                "pictures": 0,
                "models": 0,
                "responses": 0,
                "vector_stores": 0,
                "limit": 1000,
                "total": len(LINES),
            }
        ],
    }
