"""Responses over HTTP: stored, continued, retrieved, listed and deleted."""

from typing import Any

import msgspec
import pytest

from homeport.domain.content import ReasoningPart
from homeport.domain.errors import EngineFailed, StorageFull
from homeport.domain.responses import Item, StoredResponse
from tests.api.fakes import FakeServing, answer
from tests.api.responses.calls import FUNCTION, NOW, PATH, ResponseApp, calling

CALL_OUTPUT = {"type": "function_call_output", "call_id": "call_1", "output": "2"}


def stored(response_id: str, **fields: Any) -> StoredResponse:
    """Make a stored response of the local project."""
    body = msgspec.json.encode({"id": response_id, "status": "completed", "output": []}).decode()
    given = {"id": response_id, "project": "local", "status": "completed", "created_at": NOW, "body": body, **fields}
    return StoredResponse(**given)


def item(number: int, text: str = "Hi") -> Item:
    """Make a message of the user."""
    content = [{"type": "input_text", "text": text}]
    body = {"id": f"msg_{number}", "type": "message", "role": "user", "status": "completed", "content": content}
    return Item(f"msg_{number}", msgspec.json.encode(body).decode())


async def test_what_is_answered_is_stored_and_retrieved() -> None:
    """A response is stored for 30 days with its items, and is retrieved as it was answered."""
    app = ResponseApp()
    body = await app.answer(metadata={"a": "b"})
    kept = app.responses.responses[body["id"]]
    assert (kept.status, kept.created_at, kept.expires_at) == ("completed", NOW, NOW + 30 * 86_400)
    assert ([len(kept.input), len(kept.output)], kept.project) == ([1, 1], "local")
    response = await app.send("GET", f"{PATH}/{body['id']}?include[]=message.output_text.logprobs")
    assert (response.status, response.json) == (200, body)


async def test_reasoning_is_sealed_when_a_retrieval_asks_for_it() -> None:
    """`include` adds the encrypted content of stored reasoning, which later requests accept."""
    app = ResponseApp()
    thought: dict[str, Any] = {"id": "rs_1", "type": "reasoning", "summary": [], "encrypted_content": None}
    thought["content"] = [{"type": "reasoning_text", "text": "Because."}]
    app.responses.add(stored("resp_1", output=(Item("rs_1", msgspec.json.encode(thought).decode()), item(1))))
    plain = (await app.send("GET", f"{PATH}/resp_1")).json["output"]
    sealed = (await app.send("GET", f"{PATH}/resp_1?include=reasoning.encrypted_content")).json["output"]
    token = sealed[0].pop("encrypted_content")
    assert plain[0].pop("encrypted_content") is None
    assert sealed == plain
    answered = {"role": "assistant", "content": "Yes"}
    await app.answer(input=[{"type": "reasoning", "summary": [], "encrypted_content": token}, answered])
    assert app.last_prompt.messages[0].parts[0] == ReasoningPart("Because.")


@pytest.mark.parametrize("is_streamed", [False, True])
async def test_a_response_that_is_not_to_be_stored_is_not(is_streamed: bool) -> None:
    """With `store: false` nothing is stored."""
    app = ResponseApp()
    response = await app.create(store=False, stream=is_streamed)
    assert response.status == 200
    assert not app.responses.responses


async def test_a_stream_is_stored_before_its_end() -> None:
    """The last event of a stream tells of a response that is stored."""
    app = ResponseApp()
    response = await app.create(stream=True)
    assert b"response.completed" in response.parts[-2] + response.parts[-1]
    [kept] = app.responses.responses.values()
    assert kept.status == "completed"


async def test_a_server_without_storage_says_so() -> None:
    """Where nothing is stored, `store: true` is a 400 that names it, and its absence means false."""
    app = ResponseApp(response_keep_s=0)
    response = await app.create(store=True)
    assert (response.status, response.error["param"]) == (400, "store")
    assert (await app.answer())["store"] is False
    assert not app.responses.responses


async def test_responses_may_be_kept_for_ever() -> None:
    """Without an expiry a stored response has none."""
    app = ResponseApp(response_keep_s=None)
    body = await app.answer()
    assert app.responses.responses[body["id"]].expires_at is None


async def test_a_chain_holds_all_items_of_all_responses() -> None:
    """A continued response sees input and output of all earlier ones in order, but not their instructions."""
    app = ResponseApp(FakeServing(lambda _: answer("Good day")))
    first = await app.answer(instructions="Be kind.", input="One")
    second = await app.answer(input="Two", previous_response_id=first["id"])
    third = await app.answer(input="Three", previous_response_id=second["id"])
    assert [role for role, _ in app.last_texts] == ["user", "assistant", "user", "assistant", "user"]
    assert [text for _, text in app.last_texts] == ["One", "Good day", "Two", "Good day", "Three"]
    assert third["previous_response_id"] == second["id"]
    assert app.responses.responses[third["id"]].previous_id == second["id"]


async def test_a_tool_loop_is_the_same_by_any_way() -> None:
    """Two turns by `previous_response_id`, by `conversation`, by references and by sent items give one prompt."""
    prompts = []
    for way in ("previous", "conversation", "items", "references"):
        app = ResponseApp(FakeServing(lambda _: calling()))
        conversation = app.conversations.create("local", {}, ()).id if way == "conversation" else None
        first = await app.answer(input="Add", tools=[FUNCTION], conversation=conversation)
        app.serving.script = lambda _: answer("Done")
        items: list[Any] = [CALL_OUTPUT]
        fields: dict[str, Any] = {"conversation": conversation}
        if way == "previous":
            fields = {"previous_response_id": first["id"]}
        elif way == "items":
            items = [{"role": "user", "content": "Add"}, *first["output"], CALL_OUTPUT]
        elif way == "references":
            references = [{"type": "item_reference", "id": each["id"]} for each in first["output"]]
            items = [{"role": "user", "content": "Add"}, *references, CALL_OUTPUT]
        await app.answer(input=items, tools=[FUNCTION], **fields)
        prompts.append(app.last_prompt)
    assert [message.role for message in prompts[0].messages] == ["user", "assistant", "tool"]
    assert prompts[1:] == prompts[:1] * 3


@pytest.mark.parametrize("fields", [{"project": "other"}, {"status": "in_progress"}, {"status": "queued"}])
async def test_what_cannot_be_continued_is_refused(fields: dict[str, Any]) -> None:
    """A response of another project, like none, and one that has not ended, are a 400."""
    app = ResponseApp()
    app.responses.add(stored("resp_1", **fields))
    response = await app.create(previous_response_id="resp_1")
    assert (response.status, response.error["param"]) == (400, "previous_response_id")
    code = "previous_response_not_found" if "project" in fields else "previous_response_not_ended"
    assert response.error["code"] == code


async def test_an_expired_response_is_not_continued() -> None:
    """A response that has expired is as one that never existed."""
    app = ResponseApp()
    app.responses.add(stored("resp_1"))
    app.responses.expired.add("resp_1")
    response = await app.create(previous_response_id="resp_1")
    assert (response.status, response.error["code"]) == (400, "previous_response_not_found")


@pytest.mark.parametrize("status", ["failed", "cancelled", "incomplete"])
async def test_a_response_that_ended_early_can_be_continued(status: str) -> None:
    """What a failed, cancelled or incomplete response has counts."""
    app = ResponseApp()
    app.responses.add(stored("resp_1", status=status, input=(item(1, "Before"),)))
    await app.answer(previous_response_id="resp_1")
    assert app.last_texts == [("user", "Before"), ("user", "Hello")]


async def test_a_conversation_grows() -> None:
    """Input and output are added to the conversation, which is reserved until they are."""
    app = ResponseApp()
    conversation = app.conversations.create("local", {}, [item(1, "Before")])
    body = await app.answer(conversation={"id": conversation.id})
    assert app.last_texts == [("user", "Before"), ("user", "Hello")]
    assert body["conversation"] == {"id": conversation.id}
    assert len(app.conversations.items("local", conversation.id)) == 3
    assert app.conversations.history == [f"lock {conversation.id}", f"unlock {conversation.id}"]


@pytest.mark.parametrize("is_streamed", [False, True])
@pytest.mark.parametrize("is_refused", [False, True])
async def test_a_conversation_is_free_after_a_failure(is_streamed: bool, is_refused: bool) -> None:
    """Whatever ends a response, its conversation is not reserved any more, and unchanged."""
    error = EngineFailed("broken")
    app = ResponseApp(FakeServing(lambda _: [*answer("Hello")[:2], error]))
    app.serving.refusal = error if is_refused else None
    conversation = app.conversations.create("local", {}, ())
    await app.create(conversation=conversation.id, stream=is_streamed)
    assert not app.conversations.locks
    assert len(app.conversations.history) == 2
    assert not app.conversations.items("local", conversation.id)


async def test_a_reserved_conversation_is_a_conflict() -> None:
    """While another response has the conversation, a second one is a 409, and the reservation stays."""
    app = ResponseApp()
    conversation = app.conversations.create("local", {}, ())
    app.conversations.lock("local", conversation.id, "another", 30)
    response = await app.create(conversation=conversation.id)
    assert (response.status, response.error["code"]) == (409, "conversation_locked")
    assert app.conversations.locks == {conversation.id: "another"}
    assert not app.serving.requests


@pytest.mark.parametrize("project", ["other", None])
async def test_an_unknown_conversation_is_a_404(project: str | None) -> None:
    """A conversation of another project is as one that does not exist."""
    app = ResponseApp()
    found = app.conversations.create(project, {}, ()).id if project else "conv_0"
    for fields in ({}, {"background": True}):
        response = await app.create(conversation=found, **fields)
        assert (response.status, response.error["param"]) == (404, "conversation")
        assert "'conv_0' not found" in response.error["message"]


async def test_an_answer_that_cannot_be_stored_is_an_error() -> None:
    """No answer is sent that is not on disk."""

    class Full(type(ResponseApp().responses)):  # type: ignore[misc]
        def add(self, *_: object) -> None:
            raise StorageFull("The disk is full.")

    app = ResponseApp(responses=Full())
    response = await app.create()
    assert (response.status, response.error["code"]) == (507, "storage_full")


@pytest.mark.parametrize("path", ["", "/input_items"])
async def test_what_is_not_stored_is_a_404(path: str) -> None:
    """An unknown response, and one of another project, are the same 404."""
    app = ResponseApp()
    app.responses.add(stored("resp_1", project="other"))
    for response_id in ("resp_1", "resp_2"):
        response = await app.send("GET", f"{PATH}/{response_id}{path}")
        assert (response.status, response.error["message"]) == (404, f"Response with id '{response_id}' not found.")


async def test_a_deleted_response_is_gone() -> None:
    """Deleting answers with the id; then the response is not found."""
    app = ResponseApp()
    body = await app.answer()
    path = f"{PATH}/{body['id']}"
    assert (await app.send("DELETE", path)).json == {"id": body["id"], "object": "response", "deleted": True}
    assert (await app.send("GET", path)).status == 404
    assert (await app.send("DELETE", path)).status == 404


async def test_input_items_have_pages() -> None:
    """The items of the input are listed in both orders, in pages."""
    app = ResponseApp()
    app.responses.add(stored("resp_1", input=tuple(map(item, range(3)))))
    path = f"{PATH}/resp_1/input_items"
    whole = (await app.send("GET", path)).json
    assert [each["id"] for each in whole["data"]] == ["msg_2", "msg_1", "msg_0"]
    assert (whole["object"], whole["first_id"], whole["last_id"], whole["has_more"]) == (
        "list",
        "msg_2",
        "msg_0",
        False,
    )
    page = (await app.send("GET", f"{path}?order=asc&limit=1&after=msg_0")).json
    assert ([each["id"] for each in page["data"]], page["has_more"]) == (["msg_1"], True)


@pytest.mark.parametrize(
    ("query", "param"),
    [("limit=0", "limit"), ("limit=101", "limit"), ("order=up", "order"), ("after=x", "after"), ("before=x", "before")],
)
async def test_a_wrong_page_is_refused_by_name(query: str, param: str) -> None:
    """A bad parameter of a page is a 400 that names it."""
    app = ResponseApp()
    app.responses.add(stored("resp_1", input=(item(1),)))
    response = await app.send("GET", f"{PATH}/resp_1/input_items?{query}")
    assert (response.status, response.error["param"]) == (400, param)


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("starting_after=3", "starting_after"),
        ("include=x", "include[0]"),
        ("stream=true&include_obfuscation=true", "include_obfuscation"),
        ("stream=true", "stream"),
    ],
)
async def test_a_wrong_query_is_refused_by_name(query: str, param: str) -> None:
    """A bad parameter of a retrieval is a 400 that names it; only a background response is streamed again."""
    app = ResponseApp()
    app.responses.add(stored("resp_1"))
    response = await app.send("GET", f"{PATH}/resp_1?{query}")
    assert (response.status, response.error["param"]) == (400, param)


async def test_a_background_response_is_accepted_when_its_request_is_right() -> None:
    """It is stored as queued with its items and its request; a wrong one is refused at once."""
    app = ResponseApp()
    body = await app.answer(background=True, metadata={"a": "b"})
    kept = app.responses.responses[body["id"]]
    assert (body["status"], kept.status, kept.is_background, len(kept.input)) == ("queued", "queued", True, 1)
    assert msgspec.json.decode(kept.request)["metadata"] == {"a": "b"}
    assert not app.serving.requests
    assert (await app.create(background=True, input=[])).status == 400


async def test_a_reference_to_nothing_is_a_404() -> None:
    """An item that is referred to must be stored."""
    app = ResponseApp()
    response = await app.create(input=[{"type": "item_reference", "id": "msg_" + "0" * 36}])
    assert (response.status, "not found" in response.error["message"]) == (404, True)
