"""The files of vector stores over HTTP: added alone and together, described, read, removed, and refused by name."""

from pathlib import Path
from typing import Any

import pytest

from homeport.domain.vector_stores import IndexingError
from tests.api.vector_stores.calls import NOW, StoreApp

STATIC = {"type": "static", "static": {"max_chunk_size_tokens": 1000, "chunk_overlap_tokens": 500}}


@pytest.fixture
async def store_id(app: StoreApp) -> str:
    return str((await app.post(""))["id"])


async def test_a_file_has_openais_fields(app: StoreApp, store_id: str) -> None:
    """An added file is in progress, with its strategy and attributes, and completed once it is indexed."""
    file_id = app.upload("Cats sleep.txt")
    added = await app.post(
        f"/{store_id}/files", file_id=file_id, attributes={"year": 2024, "ok": True}, chunking_strategy=STATIC
    )
    assert added == {
        "id": file_id,
        "object": "vector_store.file",
        "usage_bytes": 0,
        "created_at": NOW,
        "vector_store_id": store_id,
        "status": "in_progress",
        "last_error": None,
        "chunking_strategy": STATIC,
        "attributes": {"year": 2024, "ok": True},
    }
    app.index_all()
    found = await app.get(f"/{store_id}/files/{file_id}")
    assert (found["status"], found["usage_bytes"] > 0) == ("completed", True)


async def test_the_default_strategy_is_said(app: StoreApp, store_id: str) -> None:
    """Without a strategy, and with `auto`, the file says the numbers that are used."""
    for extra in ({}, {"chunking_strategy": {"type": "auto"}}):
        added = await app.post(f"/{store_id}/files", file_id=app.upload(), **extra)
        static = {"max_chunk_size_tokens": 400, "chunk_overlap_tokens": 100}
        assert added["chunking_strategy"] == {"type": "static", "static": static}


async def test_a_failed_file_has_an_error(app: StoreApp, store_id: str) -> None:
    """What went wrong is `last_error`, and the limit of the model's window is said where it was needed."""
    file_id = app.upload()
    await app.post(f"/{store_id}/files", file_id=file_id)
    (claimed,) = app.queue.claim("me", 5)
    app.queue.add_chunks("me", claimed[0].seq, ["text"], 508)
    app.queue.finish("me", claimed[0].seq, IndexingError("invalid_file", "It is empty."))
    found = await app.get(f"/{store_id}/files/{file_id}")
    assert (found["status"], found["chunk_limit_tokens"]) == ("failed", 508)
    assert found["last_error"] == {"code": "invalid_file", "message": "It is empty."}


async def test_content_and_attributes(app: StoreApp) -> None:
    """The content is the texts of the chunks; attributes are replaced."""
    store_id = await app.store_of("Cats sleep|Dogs bark.txt")
    [file] = (await app.get(f"/{store_id}/files"))["data"]
    content = await app.get(f"/{store_id}/files/{file['id']}/content")
    texts = [{"type": "text", "text": "Cats sleep"}, {"type": "text", "text": "Dogs bark"}]
    assert content == {
        "object": "vector_store.file_content.page",
        "data": texts,
        "has_more": False,
        "next_page": None,
    }
    changed = await app.post(f"/{store_id}/files/{file['id']}", attributes={"kind": "note"})
    assert changed["attributes"] == {"kind": "note"}
    assert (await app.post(f"/{store_id}/files/{file['id']}", attributes=None))["attributes"] == {}


async def test_a_removed_file_stays_a_file(app: StoreApp) -> None:
    """Removing a file from a store does not delete it; deleting it removes it from the store."""
    store_id = await app.store_of("a.txt", "b.txt")
    one, other = (each["id"] for each in (await app.get(f"/{store_id}/files"))["data"])
    removed = await app.send("DELETE", f"/{store_id}/files/{one}")
    assert removed.json == {"id": one, "object": "vector_store.file.deleted", "deleted": True}
    assert (await app.send("GET", f"/v1/files/{one}")).status == 200
    assert (await app.send("DELETE", f"/v1/files/{other}")).status == 200
    assert (await app.get(f"/{store_id}/files"))["data"] == []


async def test_files_are_added_in_batches(app: StoreApp, store_id: str) -> None:
    """A batch takes ids with common attributes, or files with their own, and counts them until they are indexed."""
    ids = [app.upload(f"{at}.txt") for at in range(3)]
    batch = await app.post(f"/{store_id}/file_batches", file_ids=ids[:2], attributes={"a": 1})
    assert (batch["object"], batch["vector_store_id"]) == ("vector_store.files_batch", store_id)
    assert (batch["status"], batch["file_counts"]["in_progress"]) == ("in_progress", 2)
    own = [{"file_id": ids[2], "attributes": {"b": 2}, "chunking_strategy": STATIC}]
    await app.post(f"/{store_id}/file_batches", files=own)
    app.index_all()
    done = await app.get(f"/{store_id}/file_batches/{batch['id']}")
    assert (done["status"], done["file_counts"]["completed"]) == ("completed", 2)
    listed = await app.get(f"/{store_id}/file_batches/{batch['id']}/files?order=asc")
    assert [(each["id"], each["attributes"]) for each in listed["data"]] == [(ids[0], {"a": 1}), (ids[1], {"a": 1})]
    third = await app.get(f"/{store_id}/files/{ids[2]}")
    assert (third["attributes"], third["chunking_strategy"]) == ({"b": 2}, STATIC)


async def test_a_batch_is_cancelled(app: StoreApp, store_id: str) -> None:
    """The files of a cancelled batch that are not indexed yet are cancelled."""
    batch = await app.post(f"/{store_id}/file_batches", file_ids=[app.upload(), app.upload()])
    cancelled = await app.post(f"/{store_id}/file_batches/{batch['id']}/cancel")
    assert (cancelled["status"], cancelled["file_counts"]["cancelled"]) == ("cancelled", 2)
    listed = await app.get(f"/{store_id}/files?filter=cancelled")
    assert len(listed["data"]) == 2


async def test_a_file_that_is_named_twice_is_added_once(app: StoreApp, store_id: str) -> None:
    """A batch that repeats a file has it once."""
    file_id = app.upload()
    batch = await app.post(f"/{store_id}/file_batches", file_ids=[file_id, file_id])
    assert batch["file_counts"]["total"] == 1


async def test_other_projects_files_are_not_found(app: StoreApp, store_id: str) -> None:
    """A file of another project cannot be added, as if it did not exist."""
    response = await app.send("POST", f"/{store_id}/files", {"file_id": app.upload(project="two")})
    assert (response.status, response.error["code"]) == (404, "file_not_found")


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("files", {}, "file_id"),
        ("files", {"file_id": "file-none"}, "file_id"),
        ("files", {"file_id": ""}, "file_id"),
        ("files", {"file_id": "F", "attributes": {str(at): at for at in range(17)}}, "attributes"),
        ("files", {"file_id": "F", "attributes": {"k" * 65: 1}}, "attributes"),
        ("files", {"file_id": "F", "attributes": {"k": "x" * 513}}, "attributes.k"),
        ("files", {"file_id": "F", "attributes": {"k": []}}, "attributes"),
        (
            "files",
            {
                "file_id": "F",
                "chunking_strategy": {
                    "type": "static",
                    "static": {"max_chunk_size_tokens": 99, "chunk_overlap_tokens": 0},
                },
            },
            "chunking_strategy.static.max_chunk_size_tokens",
        ),
        ("file_batches", {}, "file_ids"),
        ("file_batches", {"file_ids": ["F"], "files": [{"file_id": "F"}]}, "file_ids"),
        ("file_batches", {"file_ids": []}, "file_ids"),
        ("file_batches", {"file_ids": ["F"] * 2001}, "file_ids"),
        ("file_batches", {"files": [{"file_id": "F"}, {"file_id": "file-none"}]}, "files[1].file_id"),
    ],
)
async def test_what_is_wrong_is_named(
    app: StoreApp, store_id: str, path: str, body: dict[str, Any], param: str
) -> None:
    """A wrong field of a file or a batch is an error that names it, and nothing is added. `F`: a file that exists."""
    file_id = app.upload()
    text = {key: _filled(value, file_id) for key, value in body.items()}
    response = await app.send("POST", f"/{store_id}/{path}", text)
    assert response.status in (400, 404), response.body
    assert response.error["param"] == param
    assert (await app.get(f"/{store_id}"))["file_counts"]["total"] == 0


@pytest.mark.parametrize("query", ["filter=other", "order=up", "limit=101", "limit=0", "after=file-none", "x=1"])
async def test_wrong_queries_are_refused(app: StoreApp, store_id: str, query: str) -> None:
    """A wrong query parameter is a 400 that names it."""
    response = await app.send("GET", f"/{store_id}/files?{query}")
    assert (response.status, response.error["param"]) == (400, query.split("=")[0])


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "files/file-none"),
        ("POST", "files/file-none"),
        ("DELETE", "files/file-none"),
        ("GET", "files/file-none/content"),
        ("GET", "file_batches/vsfb_none"),
        ("POST", "file_batches/vsfb_none/cancel"),
        ("GET", "file_batches/vsfb_none/files"),
    ],
)
async def test_unknown_ids_are_not_found(app: StoreApp, store_id: str, method: str, path: str) -> None:
    """An unknown file or batch is a 404, as is an unknown store."""
    for store in (store_id, "vs_none"):
        response = await app.send(method, f"/{store}/{path}", {"attributes": None} if method == "POST" else None)
        assert response.status == 404


def _filled(value: Any, file_id: str) -> Any:
    if isinstance(value, list):
        return [_filled(each, file_id) for each in value]
    if isinstance(value, dict):
        return {key: _filled(each, file_id) for key, each in value.items()}
    return file_id if value == "F" else value


async def test_the_indexing_is_notified_of_files(tmp_path: Path) -> None:
    """It begins when a file, a batch of files, or a store with files is added, and not for an empty store."""
    told: list[str] = []
    app = StoreApp(tmp_path, on_files_added=lambda: told.append("now"))
    store_id = (await app.post(""))["id"]
    assert told == []
    await app.post(f"/{store_id}/files", file_id=app.upload())
    await app.post(f"/{store_id}/file_batches", file_ids=[app.upload()])
    await app.post("", file_ids=[app.upload()])
    assert len(told) == 3
