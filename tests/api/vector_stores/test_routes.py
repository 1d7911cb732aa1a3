"""Vector stores over HTTP: what is created and returned, pages, searches, and what is refused by name."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from homeport.api.application import build_application
from homeport.domain.vector_stores import DAY_S
from tests.api.admin.test_usage import MemoryLedger
from tests.api.asgi import call
from tests.api.fakes import FakeRegistry, services
from tests.api.vector_stores.calls import NOW, StoreApp


async def test_a_store_has_openais_fields(app: StoreApp) -> None:
    """A new store is described with its files, its expiry and the model that makes its vectors."""
    created = await app.post(
        "",
        name="Notes",
        description="Mine",
        metadata={"a": "b"},
        expires_after={"anchor": "last_active_at", "days": 7},
        file_ids=[app.upload(), app.upload()],
    )
    assert created == {
        "id": created["id"],
        "object": "vector_store",
        "created_at": NOW,
        "name": "Notes",
        "description": "Mine",
        "usage_bytes": 0,
        "file_counts": {"in_progress": 2, "completed": 0, "failed": 0, "cancelled": 0, "total": 2},
        "status": "in_progress",
        "expires_after": {"anchor": "last_active_at", "days": 7},
        "expires_at": NOW + 7 * DAY_S,
        "last_active_at": NOW,
        "metadata": {"a": "b"},
        "embedding_model": "e5",
    }
    app.index_all()
    assert (await app.get(f"/{created['id']}"))["status"] == "completed"


async def test_a_store_is_changed_and_deleted(app: StoreApp) -> None:
    """Fields that are not sent stay as they are; null removes the expiry; a deleted store is not found."""
    store_id = (await app.post("", name="Old", expires_after={"anchor": "last_active_at", "days": 7}))["id"]
    changed = await app.post(f"/{store_id}", metadata={"a": "b"})
    assert (changed["name"], changed["metadata"], changed["expires_after"]["days"]) == ("Old", {"a": "b"}, 7)
    changed = await app.post(f"/{store_id}", name="New", expires_after=None)
    assert (changed["name"], changed["expires_after"], changed["expires_at"]) == ("New", None, None)
    deleted = await app.send("DELETE", f"/{store_id}")
    assert deleted.json == {"id": store_id, "object": "vector_store.deleted", "deleted": True}
    assert (await app.send("GET", f"/{store_id}")).status == 404


async def test_stores_are_listed_in_both_directions(app: StoreApp) -> None:
    """`after` continues a list, `before` returns what precedes an id, and `order` turns it around."""
    made = [(await app.post("", name=str(at)))["id"] for at in range(4)]

    async def names(query: str) -> list[str]:
        return [store["name"] for store in (await app.get(f"?{query}"))["data"]]

    assert await names("limit=2") == ["3", "2"]
    assert await names(f"limit=2&after={made[2]}") == ["1", "0"]
    assert await names(f"limit=2&before={made[0]}") == ["2", "1"]
    assert await names("order=asc") == ["0", "1", "2", "3"]
    assert await names(f"order=asc&limit=1&before={made[2]}") == ["1"]
    wrong = await app.send("GET", "?before=vs_none")
    assert (wrong.status, wrong.error["param"]) == (400, "before")
    assert (await app.send("GET", f"?before={made[0]}&after={made[1]}")).status == 400


async def test_a_search_returns_the_best_chunks(app: StoreApp) -> None:
    """Chunks are returned with file, score and attributes, best first; the query is embedded as a query."""
    store_id = await app.store_of("Cats sleep all day|Dogs bark at night.txt", "Prices rise.md")
    page = await app.post(f"/{store_id}/search", query="When do dogs bark?", max_num_results=2)
    assert (page["object"], page["search_query"]) == ("vector_store.search_results.page", ["When do dogs bark?"])
    assert (page["has_more"], page["next_page"]) == (False, None)
    first = page["data"][0]
    assert first == {
        "file_id": first["file_id"],
        "filename": "Cats sleep all day|Dogs bark at night.txt",
        "score": first["score"],
        "attributes": {},
        "content": [{"type": "text", "text": "Dogs bark at night"}],
    }
    assert 1 >= first["score"] > page["data"][1]["score"] >= 0
    [request] = app.serving.embedded  # type: ignore[attr-defined]
    assert request.is_query


async def test_several_queries_are_searched_together(app: StoreApp) -> None:
    """An array of queries is one request for vectors and one list of results."""
    store_id = await app.store_of("Cats sleep.txt", "Dogs bark.txt", "Prices rise.txt")
    page = await app.post(f"/{store_id}/search", query=["cats sleep", "dogs bark"], max_num_results=2)
    assert page["search_query"] == ["cats sleep", "dogs bark"]
    assert {result["filename"] for result in page["data"]} == {"Cats sleep.txt", "Dogs bark.txt"}
    assert len(app.serving.embedded) == 1  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "options",
    [
        {"ranker": "auto"},
        {"ranker": "default-2024-11-15", "score_threshold": 0},
        {"ranker": "none"},
        {"hybrid_search": {"embedding_weight": 1, "text_weight": 3}},
        {"hybrid_search": {"embedding_weight": 0, "text_weight": 1}},
    ],
)
async def test_rankings_can_be_chosen(app: StoreApp, options: dict[str, Any]) -> None:
    """Every ranker, and any weights of vectors and words, finds the chunk with the words of the query."""
    store_id = await app.store_of("Cats sleep.txt", "Dogs bark.txt")
    page = await app.post(f"/{store_id}/search", query="dogs bark", ranking_options=options, rewrite_query=False)
    assert page["data"][0]["filename"] == "Dogs bark.txt"


async def test_a_threshold_limits_results(app: StoreApp) -> None:
    """Chunks under the threshold are left out."""
    store_id = await app.store_of("Cats sleep.txt", "Dogs bark.txt")
    options = {"score_threshold": 0.9}
    page = await app.post(f"/{store_id}/search", query="dogs bark", ranking_options=options)
    assert [result["filename"] for result in page["data"]] == ["Dogs bark.txt"]


async def test_a_search_is_a_use_of_the_store(app: StoreApp) -> None:
    """A search postpones the expiry of its store, and an expired store is refused."""
    store_id = (await app.post("", expires_after={"anchor": "last_active_at", "days": 1}))["id"]
    app.now = NOW + DAY_S // 2
    await app.post(f"/{store_id}/search", query="anything")
    assert (await app.get(f"/{store_id}"))["last_active_at"] == app.now
    app.now += 2 * DAY_S
    app.stores.sweep()
    assert (await app.get(f"/{store_id}"))["status"] == "expired"
    refused = await app.send("POST", f"/{store_id}/search", {"query": "anything"})
    assert (refused.status, refused.error["code"]) == (400, "vector_store_expired")


async def test_a_search_is_recorded_as_an_embedding(tmp_path: Path) -> None:
    """The tokens of a query are those of the embeddings model, in the caller's usage."""
    ledger = MemoryLedger()
    app = StoreApp(tmp_path, ledger=ledger)
    store_id = await app.store_of("Cats sleep.txt")
    await app.post(f"/{store_id}/search", query="cats")
    [record] = ledger.records
    assert (record.model, record.endpoint, record.prompt_tokens, record.status) == ("e5", "embeddings", 3, "ok")
    app.database.close()


async def test_vectors_of_two_models_are_not_mixed(app: StoreApp) -> None:
    """If the model that made a store's vectors has other weights, or is gone, a search is refused by name."""
    store_id = await app.store_of("Cats sleep.txt")
    other = [msgspec.structs.replace(model, digest="sha256:new") for model in app.models]
    for models in (other, app.models[:1]):
        changed = services(app.serving, vector_stores=app.stores, registry=FakeRegistry(models))
        response = await call(
            build_application(changed), "POST", f"/v1/vector_stores/{store_id}/search", b'{"query": "cats"}'
        )
        assert (response.status, response.error["code"]) == (400, "embedding_model_changed")
        assert "`e5`" in response.error["message"]


STATIC = {"type": "static", "static": {"max_chunk_size_tokens": 200, "chunk_overlap_tokens": 101}}
EQ = {"type": "eq", "key": "a", "value": 1}


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"name": "x" * 257}, "name"),
        ({"description": "x" * 513}, "description"),
        ({"metadata": {"a": "x" * 513}}, "metadata.a"),
        ({"expires_after": {"anchor": "created_at", "days": 1}}, "expires_after.anchor"),
        ({"expires_after": {"anchor": "last_active_at", "days": 366}}, "expires_after.days"),
        ({"file_ids": ["file-none"]}, "file_ids[0]"),
        ({"file_ids": ["file-none"] * 501}, "file_ids"),
        ({"chunking_strategy": {"type": "auto"}}, "chunking_strategy"),
        ({"file_ids": ["file-1"], "chunking_strategy": {"type": "other"}}, "chunking_strategy.type"),
        ({"file_ids": ["f"], "chunking_strategy": {"type": "static"}}, "chunking_strategy.static"),
        ({"file_ids": ["f"], "chunking_strategy": STATIC}, "chunking_strategy.static.chunk_overlap_tokens"),
        ({"embedding_model": "none"}, "embedding_model"),
        ({"embedding_model": "tiny"}, "embedding_model"),
        ({"embedding_model": "clip"}, "embedding_model"),
        ({"unknown": 1}, "unknown"),
    ],
)
async def test_what_is_wrong_with_a_store_is_named(app: StoreApp, body: dict[str, Any], param: str) -> None:
    """Fields out of range, unknown files and models that cannot be used are errors that name the field."""
    response = await app.send("POST", "", body)
    assert response.status in (400, 404), response.body
    assert response.error["param"] == param
    assert (await app.get(""))["data"] == []


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "query"),
        ({"query": " "}, "query"),
        ({"query": []}, "query"),
        ({"query": ["a"] * 17}, "query"),
        ({"query": "x" * 8193}, "query"),
        ({"query": "a", "rewrite_query": True}, "rewrite_query"),
        ({"query": "a", "max_num_results": 51}, "max_num_results"),
        ({"query": "a", "max_num_results": 0}, "max_num_results"),
        ({"query": "a", "ranking_options": {"ranker": "best"}}, "ranking_options.ranker"),
        ({"query": "a", "ranking_options": {"score_threshold": 1.5}}, "ranking_options.score_threshold"),
        (
            {"query": "a", "ranking_options": {"hybrid_search": {"embedding_weight": 0, "text_weight": 0}}},
            "ranking_options.hybrid_search",
        ),
        ({"query": "a", "filters": {**EQ, "type": "like"}}, "filters.type"),
        ({"query": "a", "filters": {"type": "and", "filters": [EQ, {"type": "in"}]}}, "filters.filters[1].key"),
    ],
)
async def test_what_is_wrong_with_a_search_is_named(app: StoreApp, body: dict[str, Any], param: str) -> None:
    """Fields of a search that are out of range or not served are a 400 that names them, before any work."""
    store_id = await app.store_of("Cats sleep.txt")
    response = await app.send("POST", f"/{store_id}/search", body)
    assert (response.status, response.error["param"]) == (400, param), response.body
    assert app.serving.requests == []


async def test_a_server_without_vector_stores_says_so() -> None:
    """Without storage, every path is a 503 in OpenAI's envelope."""
    app = build_application(services())
    for method, path in (("GET", ""), ("POST", "/vs_1/search"), ("GET", "/vs_1/files")):
        response = await call(app, method, f"/v1/vector_stores{path}", b'{"query": "a"}')
        assert response.status == 503
