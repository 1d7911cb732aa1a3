"""`/v1/conversations`: conversations and their items over HTTP."""

import json
from typing import Any

import pytest

from homeport.api.application import build_application
from homeport.api.responses.checks import INCLUDES
from tests.api.asgi import AsgiResponse, call
from tests.api.fakes import services
from tests.api.responses.fakes import FakeConversationRepository

PATH = "/v1/conversations"
HELLO = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hello"}]}


class ConversationApp:
    """An application with conversations in memory."""

    def __init__(self, **changes: Any) -> None:
        self.repository = FakeConversationRepository()
        self.app = build_application(services(**{"conversations": self.repository, **changes}))

    async def ask(self, method: str, path: str = "", body: Any = None) -> AsgiResponse:
        """Send a request to a path below that of conversations."""
        return await call(self.app, method, PATH + path, b"" if body is None else json.dumps(body).encode())

    async def create(self, *texts: str, **changes: Any) -> str:
        """Create a conversation of these messages; return its id."""
        response = await self.ask("POST", body={"items": [message(text) for text in texts], **changes})
        assert response.status == 200, response.body
        key: str = response.json["id"]
        return key

    async def texts(self, key: str, query: str = "?order=asc") -> list[str]:
        """Return the text of each message of a page."""
        response = await self.ask("GET", f"/{key}/items{query}")
        assert response.status == 200, response.body
        return [each["content"][0]["text"] for each in response.json["data"]]


def message(text: str, **changes: Any) -> dict[str, Any]:
    """Make a user's message as callers send it."""
    return {"role": "user", "content": text, **changes}


async def test_a_conversation_has_openais_fields() -> None:
    """A new conversation returns its id, time and metadata; retrieving it returns the same."""
    app = ConversationApp()
    made = (await app.ask("POST", body={"metadata": {"topic": "démo"}})).json
    assert made == {
        "id": made["id"],
        "object": "conversation",
        "created_at": app.repository.now,
        "metadata": {"topic": "démo"},
    }
    assert made["id"].startswith("conv_")
    assert (await app.ask("GET", f"/{made['id']}")).json == made


@pytest.mark.parametrize("body", [{}, {"metadata": None, "items": None}, {"metadata": {}, "items": []}])
async def test_a_conversation_may_begin_with_nothing(body: dict[str, Any]) -> None:
    """Without items and metadata a conversation is empty."""
    app = ConversationApp()
    made = (await app.ask("POST", body=body)).json
    assert made["metadata"] == {}
    page = (await app.ask("GET", f"/{made['id']}/items")).json
    assert page == {"object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False}


async def test_metadata_is_replaced() -> None:
    """An update replaces all pairs, and null removes them."""
    app = ConversationApp()
    key = await app.create(metadata={"a": "b"})
    for metadata in ({"c": "d"}, None):
        response = await app.ask("POST", f"/{key}", {"metadata": metadata})
        assert response.json["metadata"] == (metadata or {})
        assert (await app.ask("GET", f"/{key}")).json == response.json


async def test_a_deleted_conversation_is_gone() -> None:
    """Deletion is confirmed, and then the conversation and its items do not exist."""
    app = ConversationApp()
    key = await app.create("one")
    assert (await app.ask("DELETE", f"/{key}")).json == {
        "id": key,
        "object": "conversation.deleted",
        "deleted": True,
    }
    assert (await app.ask("DELETE", f"/{key}")).status == 404
    assert (await app.ask("GET", f"/{key}/items")).status == 404


async def test_added_items_are_returned_as_they_are_stored() -> None:
    """New items are listed in their order with ids and all fields, and follow the earlier ones."""
    app = ConversationApp()
    key = await app.create("one")
    added = (await app.ask("POST", f"/{key}/items", {"items": [message("two"), {**HELLO, "id": "msg_mine"}]})).json
    first, second = added["data"]
    assert (added["object"], added["has_more"]) == ("list", False)
    assert (added["first_id"], added["last_id"]) == (first["id"], second["id"])
    assert first == {
        "id": first["id"],
        "type": "message",
        "role": "user",
        "status": "completed",
        "content": [{"type": "input_text", "text": "two"}],
    }
    assert first["id"].startswith("msg_")
    assert second["id"] == "msg_mine"
    assert await app.texts(key) == ["one", "two", "Hello"]
    assert (await app.ask("GET", f"/{key}/items/{first['id']}")).json == first


async def test_what_is_returned_is_accepted_back() -> None:
    """The items of one conversation, as they are listed, can be the items of another one."""
    app = ConversationApp()
    listed = (await app.ask("GET", f"/{await app.create('one', 'two')}/items?order=asc")).json["data"]
    copied = (await app.ask("POST", body={"items": listed})).json["id"]
    assert (await app.ask("GET", f"/{copied}/items?order=asc")).json["data"] == listed


async def test_an_output_may_be_added_without_its_call() -> None:
    """Whether calls and outputs belong together is not checked before a response reads them."""
    app = ConversationApp()
    output = {"type": "function_call_output", "call_id": "call_1", "output": "done"}
    response = await app.ask("POST", f"/{await app.create()}/items", {"items": [output]})
    assert response.status == 200, response.body
    assert output.items() <= response.json["data"][0].items()


async def test_items_have_pages() -> None:
    """Items are listed the newest first, or the oldest first, a page at a time, after any of them."""
    app = ConversationApp()
    key = await app.create(*"abcde")
    ids = [item.id for item in app.repository.items("local", key)]
    assert await app.texts(key, "") == [*"edcba"]
    assert await app.texts(key, "?order=asc&limit=2") == [*"ab"]
    assert await app.texts(key, f"?limit=2&after={ids[3]}") == [*"cb"]
    page = (await app.ask("GET", f"/{key}/items?limit=4&order=desc")).json
    assert (page["first_id"], page["last_id"], page["has_more"]) == (ids[4], ids[1], True)


async def test_a_deleted_item_is_gone() -> None:
    """Deleting an item returns the conversation, and the other items remain."""
    app = ConversationApp()
    key = await app.create(*"abc")
    item_id = app.repository.items("local", key)[1].id
    response = await app.ask("DELETE", f"/{key}/items/{item_id}")
    assert response.json == (await app.ask("GET", f"/{key}")).json
    assert await app.texts(key) == [*"ac"]
    for method in ("GET", "DELETE"):
        assert (await app.ask(method, f"/{key}/items/{item_id}")).status == 404


async def test_every_value_of_include_is_known() -> None:
    """All of OpenAI's values of `include` are accepted, repeated or in brackets, where items are returned."""
    app = ConversationApp()
    key = await app.create("a")
    item_id = app.repository.items("local", key)[0].id
    query = "&".join(f"include[]={value}" for value in INCLUDES)
    assert (await app.ask("GET", f"/{key}/items?{query}")).status == 200
    assert (await app.ask("GET", f"/{key}/items/{item_id}?include={INCLUDES[0]}&include={INCLUDES[1]}")).status == 200
    assert (await app.ask("POST", f"/{key}/items?{query}", {"items": [message("b")]})).status == 200


WRONG: list[tuple[str, str, Any, str]] = [
    ("POST", "", {"items": [HELLO] * 21}, "items"),
    ("POST", "", {"items": [{"type": "no_such_item"}]}, "items[0].type"),
    ("POST", "", {"items": [{"type": "item_reference", "id": "msg_1"}]}, "items[0].type"),
    ("POST", "", {"metadata": {str(at): "" for at in range(17)}}, "metadata"),
    ("POST", "", {"metadata": {"k": "v" * 513}}, "metadata.k"),
    ("POST", "", {"color": "red"}, "color"),
    ("POST", "/KEY", {}, "metadata"),
    ("POST", "/KEY", {"metadata": {"k" * 65: ""}}, "metadata"),
    ("POST", "/KEY/items", {}, "items"),
    ("POST", "/KEY/items", {"items": []}, "items"),
    ("POST", "/KEY/items", {"items": [HELLO] * 21}, "items"),
    ("POST", "/KEY/items", {"items": [HELLO, {**HELLO, "role": "pirate"}]}, "items[1].role"),
    ("POST", "/KEY/items?include=all", {"items": [HELLO]}, "include[0]"),
    ("GET", "/KEY/items?limit=0", None, "limit"),
    ("GET", "/KEY/items?limit=101", None, "limit"),
    ("GET", "/KEY/items?order=up", None, "order"),
    ("GET", "/KEY/items?after=nothing", None, "after"),
    ("GET", "/KEY/items?include=all", None, "include[0]"),
    ("GET", "/KEY/items?before=x", None, "before"),
    ("GET", "/KEY/items/ITEM?include=all", None, "include[0]"),
    ("GET", "/KEY/items/ITEM?limit=1", None, "limit"),
]


@pytest.mark.parametrize(("method", "path", "body", "param"), WRONG)
async def test_what_is_wrong_is_refused_by_name(method: str, path: str, body: Any, param: str) -> None:
    """A bad value or an unknown parameter is a 400 that names it, and changes nothing."""
    app = ConversationApp()
    key = await app.create("a")
    item_id = app.repository.items("local", key)[0].id
    response = await app.ask(method, path.replace("KEY", key).replace("ITEM", item_id), body)
    assert (response.status, response.error["param"]) == (400, param)
    assert list(app.repository.conversations) == [key]
    assert await app.texts(key) == ["a"]


async def test_an_id_occurs_once_in_a_conversation() -> None:
    """An item whose id the conversation has already, or that occurs twice in a request, is a 400."""
    app = ConversationApp()
    mine = {**HELLO, "id": "msg_mine"}
    key = await app.create()
    assert (await app.ask("POST", f"/{key}/items", {"items": [mine, mine]})).status == 400
    assert (await app.ask("POST", f"/{key}/items", {"items": [mine]})).status == 200
    assert (await app.ask("POST", f"/{key}/items", {"items": [mine]})).status == 400
    assert await app.texts(key) == ["Hello"]


REQUESTS: list[tuple[str, str, Any]] = [
    ("GET", "", None),
    ("POST", "", {"metadata": {}}),
    ("DELETE", "", None),
    ("GET", "/items", None),
    ("POST", "/items", {"items": [HELLO]}),
    ("GET", "/items/msg_1", None),
    ("DELETE", "/items/msg_1", None),
]


@pytest.mark.parametrize(("method", "path", "body"), REQUESTS)
async def test_another_projects_conversation_is_not_found(method: str, path: str, body: Any) -> None:
    """A conversation of another project gets the same 404 as none, and is not changed."""
    app = ConversationApp()
    theirs = app.repository.create("other", {"a": "b"}, ()).id
    found, none = [await app.ask(method, f"/{key}{path}", body) for key in (theirs, "conv_none")]
    assert found.status == none.status == 404
    assert found.error["message"].replace(theirs, "conv_none") == none.error["message"]
    assert none.error["message"] == "Conversation with id 'conv_none' not found."
    assert app.repository.get("other", theirs).metadata == {"a": "b"}
    assert not app.repository.items("other", theirs)


async def test_a_server_that_stores_nothing_adds_nothing() -> None:
    """If the operator lets nothing be stored, nothing is added; what exists can be read and deleted."""
    app = ConversationApp(response_keep_s=0)
    key = app.repository.create("local", {}, ()).id
    for path, body in (("", {}), (f"/{key}/items", {"items": [HELLO]})):
        response = await app.ask("POST", path, body)
        assert (response.status, response.error["code"]) == (400, "storage_disabled")
    assert (await app.ask("GET", f"/{key}")).status == 200
    assert (await app.ask("DELETE", f"/{key}")).status == 200


async def test_a_server_without_storage_says_so() -> None:
    """Without a repository the routes are unavailable."""
    assert (await ConversationApp(conversations=None).ask("POST", body={})).status == 503
