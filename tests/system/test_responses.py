"""Responses with the current official client over real HTTP, on real weights; every event is as OpenAI published it."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import openai
import pytest
from pydantic import BaseModel

from tests.openai_schemas import check, check_event
from tests.system.server import HttpAnswer, ServerProcess, running

MODEL = "smollm2-135m"
ASK = "What is the weather in Rome?"
TOOL = {
    "type": "function",
    "name": "get_weather",
    "description": "Get the current weather of a city.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string", "maxLength": 20}},
        "required": ["city"],
        "additionalProperties": False,
    },
    "strict": True,
}
CALLING: dict[str, Any] = {"tools": [TOOL], "tool_choice": "required", "parallel_tool_calls": False}
VOLATILE = {"id", "created_at", "completed_at", "call_id"}


class Verdict(BaseModel):
    """What a structured answer holds."""

    is_wet: bool


def create(client: openai.OpenAI, **fields: Any) -> Any:
    """Create a response of a few tokens, always the same for the same prompt."""
    body = {"model": MODEL, "input": "Say hello.", "max_output_tokens": 40, "temperature": 0, **fields}
    return client.responses.create(**body)


def streamed(client: openai.OpenAI, **fields: Any) -> list[Any]:
    """Return the events of a streamed response, checked, and that its items are those that it ends with."""
    events = checked(create(client, stream=True, **fields))
    done = [event["item"] for event in events if event["type"] == "response.output_item.done"]
    assert events[-1]["response"]["output"] == done
    return events


def checked(stream: Iterable[Any]) -> list[Any]:
    """Return the events that the client reads, each checked: its schema, its number and its order."""
    # Its own classes of parsed output do not match the fields that they are in, of which it warns.
    events = [event.to_dict(mode="json", warnings=False) for event in stream]
    for event in events:
        check_event(event)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert [event["type"] for event in events[:2]] == ["response.created", "response.in_progress"]
    return events


def lasting(value: Any) -> Any:
    """Return a value without ids and times, which differ between equal requests."""
    if isinstance(value, Mapping):
        return {name: lasting(each) for name, each in value.items() if name not in VOLATILE}
    return [lasting(each) for each in value] if isinstance(value, list) else value


def as_json(response: Any) -> Any:
    """Return what the server sent of a response, checked."""
    value = response.to_dict(mode="json")
    check("Response", value)
    return value


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"max_output_tokens": 16, "ignore": ["ignore_eos"]},
        CALLING,
        {"include": ["message.output_text.logprobs"], "top_logprobs": 2},
        {"text": {"format": {"type": "json_schema", "name": "v", "strict": True, "schema": TOOL["parameters"]}}},
        {"stream_options": {"include_obfuscation": False}, "instructions": "Be brief."},
    ],
    ids=["text", "cut", "call", "logprobs", "json", "plain"],
)
def test_streamed_is_as_whole(client: openai.OpenAI, fields: dict[str, Any]) -> None:
    """A stream ends with the response that the same request gives at once, and its deltas add up to it."""
    fields = dict(fields)
    if fields.pop("ignore", None):
        fields["extra_body"] = {"ignore_eos": True}
    whole = as_json(create(client, **{name: each for name, each in fields.items() if name != "stream_options"}))
    events = streamed(client, **fields)
    last = events[-1]["response"]
    assert lasting(last) == lasting(whole)
    assert events[-1]["type"] == f"response.{whole['status']}"
    assert whole["status"] == ("incomplete" if "extra_body" in fields else "completed")
    texts: dict[int, str] = {}
    for event in events:
        if event["type"].endswith(".delta"):
            texts[event["output_index"]] = texts.get(event["output_index"], "") + event["delta"]
    for index, item in enumerate(last["output"]):
        assert texts.get(index, "") == (item.get("arguments") or item["content"][0]["text"])


@pytest.mark.parametrize("fields", [{}, CALLING, {"text_format": Verdict}], ids=["text", "call", "parsed"])
def test_the_client_follows_a_stream(client: openai.OpenAI, fields: dict[str, Any]) -> None:
    """The client's own accumulation of a stream is the response that is stored."""
    options = {"input": "Say hello.", "max_output_tokens": 60, "temperature": 0, **fields}
    with client.responses.stream(model=MODEL, **options) as stream:
        events = checked(stream)
        final: Any = stream.get_final_response()
    kept: Any = client.responses.retrieve(final.id)
    deltas = "".join(event["delta"] for event in events if event["type"].endswith(".delta"))
    assert deltas == (kept.output_text or kept.output[0].arguments) != ""
    assert final.output_text == kept.output_text
    assert final.usage == kept.usage


def test_the_client_parses_an_answer(client: openai.OpenAI) -> None:
    """An answer in the form of a class becomes an object of it."""
    made = client.responses.parse(model=MODEL, input="Is rain wet?", text_format=Verdict, max_output_tokens=60)
    assert isinstance(made.output_parsed, Verdict)


def test_a_response_is_kept_until_it_is_deleted(client: openai.OpenAI) -> None:
    """What was answered is retrieved as it was, with its input in pages, until it is deleted."""
    made = create(client, input=[{"role": "user", "content": text} for text in ("one", "two")], metadata={"a": "b"})
    assert as_json(client.responses.retrieve(made.id)) == as_json(made)
    page = client.responses.input_items.list(made.id, order="asc", limit=1)
    check("ResponseItemList", page.to_dict(mode="json"))
    assert [getattr(item, "content")[0].text for item in page] == ["one", "two"]  # noqa: B009 - a union
    client.responses.delete(made.id)
    for use in (client.responses.retrieve, client.responses.delete, client.responses.input_items.list):
        with pytest.raises(openai.NotFoundError):
            use(made.id)


def test_what_is_not_to_be_stored_is_not(client: openai.OpenAI) -> None:
    """With `store` false a response cannot be retrieved or continued."""
    made = create(client, store=False)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(made.id)
    with pytest.raises(openai.BadRequestError) as refused:
        create(client, previous_response_id=made.id)
    assert refused.value.param == "previous_response_id"


def test_a_background_response_is_cancelled(client: openai.OpenAI, server: ServerProcess) -> None:
    """The client cancels what runs, and it stays cancelled."""
    made = create(client, background=True, max_output_tokens=1500, extra_body={"ignore_eos": True})
    assert client.responses.cancel(made.id).status == "cancelled"
    assert as_json(client.responses.retrieve(made.id))["status"] == "cancelled"
    server.wait("the engine is free", server.is_idle)


def test_tokens_are_counted_as_they_are_used(client: openai.OpenAI) -> None:
    """The count of a request's input is what the response then reports."""
    for fields in ({"input": "Hello"}, {"input": ASK, "tools": [TOOL], "instructions": "Be brief."}):
        counted = client.responses.input_tokens.count(model=MODEL, **fields)
        check("TokenCountsResource", counted.to_dict(mode="json"))
        assert create(client, **fields, max_output_tokens=1).usage.input_tokens == counted.input_tokens


def test_a_compacted_conversation_continues(client: openai.OpenAI) -> None:
    """A compacted conversation meets its schema, and its items are input."""
    first = create(client, input="My name is Ada.")
    sent = client.responses.with_raw_response.compact(model=MODEL, previous_response_id=first.id)
    assert sent.parse().object == "response.compaction"
    value = json.loads(sent.content)
    check("CompactResource", value)
    assert [item["type"] for item in value["output"]] == ["message", "compaction"]
    items: Any = [*value["output"], {"role": "user", "content": "What is my name?"}]
    assert create(client, input=items).status in ("completed", "incomplete")


def test_a_context_over_its_threshold_is_compacted_in_the_stream(client: openai.OpenAI) -> None:
    """A stream begins with the compaction of a long context, and the client continues from its items alone."""
    said: Any = [{"role": "user", "content": "It rains. " * 400}, {"role": "assistant", "content": "Yes."}]
    managed = [{"type": "compaction", "compact_threshold": 1000}]
    events = streamed(client, input=[*said, {"role": "user", "content": "Hello"}], context_management=managed)
    compaction, message = events[-1]["response"]["output"]
    assert (compaction["type"], message["type"]) == ("compaction", "message")
    counted = client.responses.input_tokens.count(model=MODEL, input=[compaction])
    assert counted.input_tokens < events[-1]["response"]["usage"]["input_tokens"]
    asked = streamed(client, input=[*said, {"type": "compaction_trigger"}])
    assert [item["type"] for item in asked[-1]["response"]["output"]] == ["compaction"]


def loop(client: openai.OpenAI, first: dict[str, Any], again: Callable[[Any], dict[str, Any]], start: Any) -> Any:
    """Call a tool, return its result, and return the second answer; `again` gives the second request's own fields."""
    called = create(client, input=start, **CALLING, **first)
    [call] = called.output
    assert call.type == "function_call"
    output = {"type": "function_call_output", "call_id": call.call_id, "output": "18 degrees, dry"}
    fields = again(called)
    return called, create(client, tools=[TOOL], **{**fields, "input": [*fields.get("input", []), output]})


def test_every_way_to_continue_gives_the_same_prompt(client: openai.OpenAI) -> None:
    """A tool loop by previous response, by conversation and with all items again has the same tokens and answers."""
    question = [{"role": "user", "content": ASK}]
    key = client.conversations.create().id

    def resent(called: Any) -> dict[str, Any]:
        return {"input": [*question, *(item.to_dict(mode="json") for item in called.output)], "store": False}

    ways = [
        loop(client, {}, lambda called: {"previous_response_id": called.id}, question),
        loop(client, {"conversation": key}, lambda _: {"conversation": key}, question),
        loop(client, {"store": False}, resent, question),
    ]
    assert len({called.output[0].arguments for called, _ in ways}) == 1
    assert len({answer.usage.input_tokens for _, answer in ways}) == 1
    assert len({answer.output_text for _, answer in ways}) == 1
    called, answer = ways[0]
    assert answer.usage.input_tokens > called.usage.input_tokens
    kinds = [item.type for item in client.conversations.items.list(key, order="asc")]
    assert kinds[:3] == ["message", "function_call", "function_call_output"]


def test_instructions_are_not_carried_over(client: openai.OpenAI) -> None:
    """A response that continues another does not read the other's instructions."""
    plain, told = (create(client, instructions=text) for text in (None, "Answer in one word, and be polite. " * 4))
    assert told.usage.input_tokens > plain.usage.input_tokens
    items = [{"role": "user", "content": "Say hello."}, *(each.to_dict(mode="json") for each in told.output)]
    resent = create(client, input=[*items, {"role": "user", "content": "Again."}])
    follow_up = create(client, input="Again.", previous_response_id=told.id)
    assert follow_up.usage.input_tokens == resent.usage.input_tokens


MESSAGE = {"type": "message", "id": "msg_1", "role": "user", "content": "a"}
CALL = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"}
OUTPUT = {"type": "function_call_output", "call_id": "c1", "output": "x"}


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"previous_response_id": "resp_none"}, "previous_response_id"),
        ({"conversation": "conv_none"}, "conversation"),
        ({"previous_response_id": "resp_none", "conversation": "conv_none"}, "previous_response_id"),
        ({"background": True, "store": False}, "background"),
        ({"input": [OUTPUT]}, "input"),
        ({"input": [MESSAGE, CALL]}, "input"),
        ({"input": [OUTPUT, CALL]}, "input"),
        ({"input": [MESSAGE, MESSAGE]}, "input[1].id"),
        ({"input": [{"type": "thought"}]}, "input[0].type"),
        ({"input": [{"type": "item_reference", "id": "msg_none"}]}, "input"),
        ({"tools": [{"type": "abacus"}]}, "tools[0].type"),
        ({"tools": [{"type": "code_interpreter", "container": {"type": "auto"}}]}, "tools[0].type"),
        ({"tools": [TOOL, {"type": "web_search"}]}, "tools[1]"),
        ({"input": "word " * 20_000, "truncation": "disabled"}, "input"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"include": ["everything"]}, "include[0]"),
    ],
)
def test_bad_requests_name_their_field(server: ServerProcess, fields: dict[str, Any], param: str) -> None:
    """What cannot be answered is a 400 or 404 that names the field, streamed or not, and nothing runs."""
    for is_streamed in (False, True):
        body = {"model": MODEL, "input": "Hi", "max_output_tokens": 1, **fields, "stream": is_streamed}
        answer = server.call("POST", "/v1/responses", body)
        assert answer.status in (400, 404), answer.body
        assert str(answer.error["param"]).startswith(param), answer.error


def test_a_long_prompt_is_refused_with_both_numbers(server: ServerProcess) -> None:
    """Without truncation, a prompt over the window is refused with the window's size and its own, as a chat is."""
    said = {"role": "user", "content": "word " * 20_000}
    for path, fields in (("responses", {"input": [said]}), ("chat/completions", {"messages": [said]})):
        message = server.call("POST", f"/v1/{path}", {"model": MODEL, **fields}).error["message"]
        window, size = (int(word) for word in message.replace(".", " ").split() if word.isdigit())
        assert size > 20_000 > window
        assert "at least" not in message


@pytest.fixture
def two_keys(tmp_path: Path, smollm2: Path) -> Iterator[tuple[ServerProcess, dict[str, str], dict[str, str]]]:
    """A server, and the headers of callers of two projects."""
    (tmp_path / "models").symlink_to(smollm2.parent.parent)
    headers = []
    for name in ("one", "two"):
        command = [sys.executable, "-m", "homeport", "keys", "create", name, "--project", name, "--json"]
        done = subprocess.run(
            [*command, "--home", str(tmp_path)],
            capture_output=True,
            check=True,
            env={**os.environ, "HOMEPORT_DATABASE_URL": ""},
            timeout=60,
        )
        headers.append({"Authorization": f"Bearer {json.loads(done.stdout)['secret']}"})
    with running(tmp_path / "log", "--home", str(tmp_path), "--model", MODEL) as started:
        yield started, headers[0], headers[1]


@pytest.mark.one_machine("creates keys in a file")
def test_a_foreign_id_is_an_unknown_one(two_keys: tuple[ServerProcess, dict[str, str], dict[str, str]]) -> None:
    """The response and the conversation of another project are answered exactly as ids that do not exist."""
    server, owner, stranger = two_keys
    body = {"model": MODEL, "input": "Hi", "max_output_tokens": 1}
    conversation = server.call("POST", "/v1/conversations", {}, owner).json()["id"]
    response = server.call("POST", "/v1/responses", body, owner).json()["id"]

    def answers(response_id: str, conversation_id: str) -> list[tuple[int, Any]]:
        ids = {"previous_response_id": response_id}, {"conversation": conversation_id}
        found: list[HttpAnswer] = [server.call("POST", "/v1/responses", {**body, **each}, stranger) for each in ids]
        paths = (
            ("GET", f"/v1/responses/{response_id}"),
            ("GET", f"/v1/responses/{response_id}/input_items"),
            ("GET", f"/v1/responses/{response_id}?stream=true"),
            ("POST", f"/v1/responses/{response_id}/cancel"),
            ("DELETE", f"/v1/responses/{response_id}"),
            ("GET", f"/v1/conversations/{conversation_id}"),
            ("GET", f"/v1/conversations/{conversation_id}/items"),
            ("DELETE", f"/v1/conversations/{conversation_id}"),
        )
        found += [server.call(method, path, headers=stranger) for method, path in paths]
        hidden = {response_id: "RESPONSE", conversation_id: "CONVERSATION"}
        return [(each.status, json.loads(_without(each.body.decode(), hidden))["error"]) for each in found]

    foreign = answers(response, conversation)
    assert foreign == answers("resp_" + "0" * 32, "conv_" + "0" * 32)
    assert {status for status, _ in foreign} <= {400, 404}
    assert server.call("GET", f"/v1/responses/{response}", headers=owner).status == 200


def _without(text: str, hidden: Mapping[str, str]) -> str:
    for secret, name in hidden.items():
        text = text.replace(secret, name)
    return text
