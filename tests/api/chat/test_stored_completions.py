"""Stored chat completions: what `store` stores, and the routes that list, change and delete it."""

import json
from typing import Any

import msgspec
import pytest

from homeport.api.application import build_application
from homeport.domain.errors import StorageFull
from homeport.domain.events import Admitted, ChoiceFinished, Done, ReasoningDelta, TextDelta, ToolCallDelta, Usage
from homeport.domain.responses import StoredCompletion
from tests.api.asgi import AsgiResponse, call
from tests.api.fakes import FakeServing, Script, services
from tests.api.responses.fakes import FakeCompletionRepository
from tests.api.text_generation.calls import PLAIN, every_choice, scored, script

PATH = "/v1/chat/completions"
QUESTION = {"role": "user", "content": "Hello"}
MIXED: Script = [
    [Admitted(5, (10,))],
    [ReasoningDelta(0, "Hm. ", 2), ReasoningDelta(0, "A tool.", 2)],
    [ToolCallDelta(0, 0, "call_1", "f", '{"a":'), ToolCallDelta(0, 0, "", "", "1}")],
    [ChoiceFinished(0, "tool_calls")],
    [Done(Usage(5, 9, 3, 4))],
]


class FullRepository(FakeCompletionRepository):
    """A repository whose disk is full."""

    def add(self, completion: StoredCompletion) -> None:
        """Raise StorageFull."""
        raise StorageFull("The disk is full.")


class ChatApp:
    """An application with stored completions. `serving` answers requests."""

    def __init__(self, repository: FakeCompletionRepository | None = None, **changes: Any) -> None:
        self.repository = repository or FakeCompletionRepository()
        self.serving = FakeServing(every_choice)
        given: dict[str, Any] = {"completions": self.repository, "now": lambda: 1_000.5, **changes}
        self.app = build_application(services(self.serving, **given))

    async def ask(self, method: str, path: str = "", body: Any = None) -> AsgiResponse:
        """Send a request to a path below that of completions."""
        return await call(self.app, method, PATH + path, b"" if body is None else json.dumps(body).encode())

    async def chat(self, **changes: Any) -> AsgiResponse:
        """Send a chat whose answer is stored."""
        return await self.ask("POST", body={**PLAIN["chat"], "store": True, **changes})

    async def list_ids(self, query: str = "") -> list[str]:
        """Return the ids of a page."""
        response = await self.ask("GET", query)
        assert response.status == 200, response.body
        return [each["id"] for each in response.json["data"]]

    @property
    def only(self) -> StoredCompletion:
        """The only stored completion."""
        (stored,) = self.repository.completions.values()
        return stored


def first_chunk(response: AsgiResponse) -> dict[str, Any]:
    """Return the first chunk of a complete stream."""
    frames = response.body.decode().split("\n\n")
    assert frames[-2:] == ["data: [DONE]", ""]
    chunk: dict[str, Any] = json.loads(frames[0].removeprefix("data: "))
    return chunk


async def test_an_answer_is_stored_only_if_that_is_asked_for() -> None:
    """Without `store`, or with false, nothing is stored."""
    app = ChatApp()
    for changes in ({"store": False}, {"store": None}):
        assert (await app.chat(**changes)).status == 200
    assert not app.repository.completions


async def test_a_stored_answer_is_what_was_sent() -> None:
    """A retrieved completion is the answer, and has the metadata."""
    app = ChatApp()
    sent = (await app.chat(metadata={"a": "b"}, n=2, model="gpt-3.5-turbo")).json
    assert sent["metadata"] == {"a": "b"}
    assert (await app.ask("GET", f"/{sent['id']}")).json == sent
    assert (app.only.model, app.only.project, app.only.created_at) == ("gpt-3.5-turbo", "local", 1_000)
    assert "metadata" not in json.loads(app.only.body)


async def test_a_completion_without_metadata_has_none() -> None:
    """Without metadata a stored completion returns none, as an empty object."""
    app = ChatApp()
    sent = (await app.chat()).json
    assert (await app.ask("GET", f"/{sent['id']}")).json == {**sent, "metadata": {}}


@pytest.mark.parametrize(("keep_s", "expires_at"), [(60, 1_060), (None, None)])
async def test_a_completion_expires_after_the_operators_time(keep_s: int | None, expires_at: int | None) -> None:
    """The time of expiry is that of the answer plus the setting; without one it is kept."""
    app = ChatApp(response_keep_s=keep_s)
    await app.chat()
    assert app.only.expires_at == expires_at


TEXTS = script([TextDelta(0, "Hi", (scored("Hi", -0.5, 0),))], [TextDelta(0, " you", (scored(" you", -1.0, 2),))])
STREAMED: list[tuple[dict[str, Any], Script]] = [
    ({}, TEXTS),
    ({"logprobs": True}, TEXTS),
    ({"tools": [{"type": "function", "function": {"name": "f"}}]}, MIXED),
    ({"tools": [{"type": "custom", "custom": {"name": "f"}}], "metadata": {"a": "b"}}, MIXED),
    ({"functions": [{"name": "f"}]}, MIXED),
]


@pytest.mark.parametrize(("changes", "steps"), STREAMED)
async def test_a_stream_stores_what_a_whole_answer_does(changes: dict[str, Any], steps: Script) -> None:
    """The stored body of a stream is the whole answer of the same events, under the id of its chunks."""
    app = ChatApp()
    app.serving.script = lambda _: steps
    whole = (await app.chat(**changes)).json
    chunk = first_chunk(await app.chat(**changes, stream=True, stream_options={"include_usage": True}))
    stored = (await app.ask("GET", f"/{chunk['id']}")).json
    assert stored["id"] != whole["id"]
    assert {**stored, "id": whole["id"]} == {"metadata": {}, **whole}


async def test_a_stream_of_several_choices_is_stored_in_their_order() -> None:
    """With `n`, a stored stream has all choices."""
    app = ChatApp()
    chunk = first_chunk(await app.chat(n=3, stream=True))
    choices = (await app.ask("GET", f"/{chunk['id']}")).json["choices"]
    assert [(each["index"], each["message"]["content"]) for each in choices] == [(i, "Hello there") for i in range(3)]


async def test_an_answer_is_stored_before_its_end_is_sent() -> None:
    """The end of a stream is not sent before the answer is stored."""
    seen: list[int] = []
    app = ChatApp()

    async def watched(scope: Any, receive: Any, send: Any) -> None:
        async def note(message: Any) -> None:
            if b"[DONE]" in message.get("body", b""):
                seen.append(len(app.repository.completions))
            await send(message)

        await app.app(scope, receive, note)

    await call(watched, "POST", PATH, json.dumps({**PLAIN["chat"], "store": True, "stream": True}).encode())
    assert seen == [1]


async def test_an_answer_that_cannot_be_stored_is_an_error() -> None:
    """With a full disk, a whole answer is a 507, and a stream ends with the error in place of its end."""
    app = ChatApp(FullRepository())
    response = await app.chat()
    assert (response.status, response.error["code"]) == (507, "storage_full")
    streamed = await app.chat(stream=True)
    assert b"[DONE]" not in streamed.body
    assert "storage_full" in streamed.body.decode().strip().split("\n\n")[-1]


async def test_a_failed_answer_is_not_stored() -> None:
    """An answer that ends with an error leaves nothing behind."""
    app = ChatApp()
    app.serving.script = lambda _: [[Admitted(5, (10,))], [TextDelta(0, "Hello")], StorageFull("x")]
    for is_streamed in (True, False):
        await app.chat(stream=is_streamed)
    assert not app.repository.completions


@pytest.mark.parametrize("changes", [{"response_keep_s": 0}, {"completions": None}])
async def test_a_server_that_stores_nothing_refuses_store(changes: dict[str, Any]) -> None:
    """If the operator lets nothing be stored, `store` is a 400 that names it, before any work."""
    app = ChatApp(**changes)
    response = await app.chat()
    assert (response.status, response.error["param"]) == (400, "store")
    assert "configured to store no chat completions" in response.error["message"]
    assert not app.serving.requests
    assert (await app.chat(store=False)).status == 200


PARTS = [{"type": "text", "text": "Hel"}, {"type": "text", "text": "lo"}]
CALLS = [{"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]


async def test_messages_are_those_of_the_request() -> None:
    """Each message has an id, its fields, its text, and its parts if it was sent in parts."""
    app = ChatApp()
    messages = [
        {"role": "system", "content": "Be brief.", "name": "host"},
        {"role": "user", "content": PARTS},
        {"role": "assistant", "content": None, "tool_calls": CALLS, "parsed": {"a": 1}, "id": "x-1"},
        {"role": "tool", "tool_call_id": "call_1", "content": "done"},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}], "reasoning_content": "Hm."},
        QUESTION,
    ]
    key = (await app.chat(messages=messages)).json["id"]
    page = (await app.ask("GET", f"/{key}/messages")).json
    plain = {"name": None, "refusal": None, "content_parts": None}
    assert page == {
        "object": "list",
        "data": [
            {**plain, "id": f"{key}-0", "role": "system", "content": "Be brief.", "name": "host"},
            {**plain, "id": f"{key}-1", "role": "user", "content": "Hello", "content_parts": PARTS},
            {**plain, "id": f"{key}-2", "role": "assistant", "content": None, "tool_calls": CALLS},
            {**plain, "id": f"{key}-3", "role": "tool", "tool_call_id": "call_1", "content": "done"},
            {
                **plain,
                "id": f"{key}-4",
                "role": "assistant",
                "content": "No.",
                "content_parts": [{"type": "refusal", "refusal": "No."}],
                "reasoning_content": "Hm.",
            },
            {**plain, "id": f"{key}-5", "role": "user", "content": "Hello"},
        ],
        "first_id": f"{key}-0",
        "last_id": f"{key}-5",
        "has_more": False,
    }
    again = await app.chat(messages=page["data"])
    assert again.status == 200, again.body
    (_, first), (_, second) = app.serving.requests
    assert first == second


async def test_messages_have_pages() -> None:
    """Messages are listed in either order, a page at a time, after any of them."""
    app = ChatApp()
    key = (await app.chat(messages=[QUESTION] * 5)).json["id"]

    async def numbers(query: str) -> tuple[list[int], bool]:
        page = (await app.ask("GET", f"/{key}/messages?{query}")).json
        return [int(each["id"].removeprefix(f"{key}-")) for each in page["data"]], page["has_more"]

    assert await numbers("limit=2") == ([0, 1], True)
    assert await numbers(f"limit=3&after={key}-1") == ([2, 3, 4], False)
    assert await numbers(f"order=desc&limit=2&after={key}-3") == ([2, 1], True)
    assert await numbers(f"after={key}-4") == ([], False)


async def test_completions_have_pages() -> None:
    """Completions are listed the oldest first, or the newest first, a page at a time."""
    app = ChatApp()
    keys = [(await app.chat()).json["id"] for _ in range(3)]
    assert await app.list_ids() == keys
    assert await app.list_ids("?order=desc") == keys[::-1]
    assert await app.list_ids(f"?limit=1&after={keys[0]}") == keys[1:2]
    page = (await app.ask("GET", "?limit=2")).json
    assert (page["first_id"], page["last_id"], page["has_more"]) == (keys[0], keys[1], True)
    assert page["data"][0] == (await app.ask("GET", f"/{keys[0]}")).json


async def test_completions_are_found_by_model_and_metadata() -> None:
    """A list has the completions of a model, and those that have all given pairs."""
    app = ChatApp()
    first = (await app.chat(metadata={"a": "1", "b": "é"})).json["id"]
    second = (await app.chat(metadata={"a": "1"}, model="gpt-3.5-turbo")).json["id"]
    assert await app.list_ids("?model=gpt-3.5-turbo") == [second]
    assert await app.list_ids("?metadata[a]=1") == [first, second]
    assert await app.list_ids("?metadata%5Ba%5D=1&metadata[b]=%C3%A9") == [first]
    assert await app.list_ids("?metadata[a]=2") == []


async def test_metadata_is_replaced() -> None:
    """An update replaces all pairs, null removes them, and the answer is not changed."""
    app = ChatApp()
    sent = (await app.chat(metadata={"a": "b"})).json
    for metadata in ({"c": "d"}, None):
        response = await app.ask("POST", f"/{sent['id']}", {"metadata": metadata})
        assert response.json == {**sent, "metadata": metadata or {}}
        assert (await app.ask("GET", f"/{sent['id']}")).json == response.json


async def test_a_deleted_completion_is_gone() -> None:
    """Deletion is confirmed, and then there is no such completion."""
    app = ChatApp()
    key = (await app.chat()).json["id"]
    response = await app.ask("DELETE", f"/{key}")
    assert response.json == {"id": key, "object": "chat.completion.deleted", "deleted": True}
    assert (await app.ask("DELETE", f"/{key}")).status == 404
    assert await app.list_ids() == []


async def test_another_projects_completion_is_not_found() -> None:
    """A completion of another project gets the same answer as none."""
    app = ChatApp()
    await app.chat()
    app.repository.add(msgspec.structs.replace(app.only, id="theirs", project="other"))
    requests = [("GET", ""), ("POST", ""), ("DELETE", ""), ("GET", "/messages")]
    for method, path in requests:
        body: Any = {"metadata": {}} if method == "POST" else None
        theirs, none = [await app.ask(method, f"/{key}{path}", body) for key in ("theirs", "nobody")]
        assert theirs.status == none.status == 404
        assert theirs.error["message"].replace("theirs", "nobody") == none.error["message"]
    assert "theirs" not in await app.list_ids()


WRONG = [
    ("GET", "?limit=0", None, "limit"),
    ("GET", "?limit=101", None, "limit"),
    ("GET", "?order=up", None, "order"),
    ("GET", "?after=nobody", None, "after"),
    ("GET", "?color=red", None, "color"),
    ("GET", f"?metadata[{'k' * 65}]=v", None, "metadata"),
    ("GET", "/KEY/messages?order=up", None, "order"),
    ("GET", "/KEY/messages?after=KEY-7", None, "after"),
    ("GET", "/KEY/messages?limit=x", None, "limit"),
    ("POST", "/KEY", {}, "metadata"),
    ("POST", "/KEY", {"metadata": {}, "model": "x"}, "model"),
    ("POST", "/KEY", {"metadata": {"k": "v" * 513}}, "metadata.k"),
]


@pytest.mark.parametrize(("method", "path", "body", "param"), WRONG)
async def test_what_is_wrong_is_refused_by_name(method: str, path: str, body: Any, param: str) -> None:
    """A bad value or an unknown parameter is a 400 that names it."""
    app = ChatApp()
    key = (await app.chat()).json["id"]
    response = await app.ask(method, path.replace("KEY", key), body)
    assert (response.status, response.error["param"]) == (400, param)


async def test_a_server_without_storage_says_so() -> None:
    """Without a repository the routes are unavailable."""
    app = ChatApp(completions=None)
    assert (await app.ask("GET")).status == 503
