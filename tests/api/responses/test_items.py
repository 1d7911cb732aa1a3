"""Input items: every type that is served, what is returned of it, and errors that name item and field."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

import pytest

from homeport.api.responses.items import (
    ITEM_TYPES,
    MAX_ITEMS,
    UNSERVED_TYPES,
    from_stored,
    read_input,
    resolve_references,
    to_stored,
)
from homeport.domain.errors import InvalidRequest, NotFound
from homeport.domain.responses import Item
from tests.api.responses.item_values import CALL, OUTPUT, SHELL_OUTPUT, raw, read

TEXT = {"type": "input_text", "text": "x"}
ANSWER = {"type": "output_text", "text": "x", "annotations": [], "logprobs": []}
SHELL = {"type": "shell_call", "call_id": "c", "action": {"commands": ["ls"]}}
LOCAL_SHELL = {"type": "local_shell_call", "call_id": "c", "action": {"type": "exec", "command": ["ls"]}}
PATCH = {"type": "apply_patch_call", "call_id": "c", "operation": {"type": "create_file", "path": "a", "diff": "+a"}}
DONE = {"status": "completed"}

TOOLS = {"type": "additional_tools", "role": "developer", "tools": [{"type": "function", "name": "f"}]}

LISTED = {"name": "a.b", "input_schema": {"type": "object"}, "description": None, "annotations": {"title": "A"}}
MCP = {"server_label": "s", "name": "a.b", "arguments": "{}"}
MCP_CALL = {"type": "mcp_call", **MCP, "output": "x", "error": None, "approval_request_id": None}
APPROVAL = {"type": "mcp_approval_response", "approval_request_id": "mcpr_1", "approve": True}
IMAGE = {"type": "image_generation_call", "id": "ig_1", "status": "completed", "result": "AAAA"}
FOUND = {"file_id": "file-1", "filename": "a.txt", "text": "Cats sleep.", "score": 0.5, "attributes": {"year": 2024}}
SENT_IMAGE = {**IMAGE, "revised_prompt": "a cat", "action": "generate", "size": "1x1", "output_format": "png"}

RETURNED: list[tuple[dict[str, Any], dict[str, Any]]] = [
    (
        {"type": "mcp_list_tools", "server_label": "s", "tools": [LISTED], "error": None},
        {"type": "mcp_list_tools", "server_label": "s", "tools": [LISTED]},
    ),
    ({"type": "mcp_call", **MCP, "output": "x"}, {**MCP_CALL, **DONE}),
    (
        {"type": "mcp_call", **MCP, "error": "no", "approval_request_id": "mcpr_1"},
        {**MCP_CALL, "output": None, "error": "no", "approval_request_id": "mcpr_1", "status": "failed"},
    ),
    ({"type": "mcp_approval_request", **MCP}, {"type": "mcp_approval_request", **MCP}),
    (APPROVAL, {**APPROVAL, "reason": None, "request_id": "mcpr_1"}),
    (TOOLS, TOOLS),
    (SENT_IMAGE, SENT_IMAGE),
    ({**IMAGE, "status": "failed", "result": None}, {**IMAGE, "status": "failed", "result": None}),
    ({"type": "image_generation_call", "id": "ig_1"}, {**IMAGE, "result": None}),
    (
        {"type": "file_search_call", "queries": ["a"], "results": [FOUND]},
        {"type": "file_search_call", **DONE, "queries": ["a"], "results": [FOUND]},
    ),
    (
        {"type": "file_search_call", "id": "fs_1", "status": "failed", "queries": [], "error": "no"},
        {"type": "file_search_call", "id": "fs_1", "status": "failed", "results": None, "error": "no"},
    ),
    ({"role": "user", "content": "x"}, {"type": "message", **DONE, "role": "user", "content": [TEXT]}),
    ({"role": "system", "content": [TEXT]}, {"type": "message", **DONE, "role": "system", "content": [TEXT]}),
    (
        {"type": "message", "role": "assistant", "content": "x", "phase": "commentary", "status": "incomplete"},
        {
            "type": "message",
            "status": "incomplete",
            "role": "assistant",
            "content": [ANSWER],
            "phase": "commentary",
        },
    ),
    (
        {"role": "assistant", "content": [TEXT, {**ANSWER, "parsed": {"a": 1}}, {"type": "refusal", "refusal": "no"}]},
        {
            "type": "message",
            **DONE,
            "role": "assistant",
            "content": [ANSWER, ANSWER, {"type": "refusal", "refusal": "no"}],
        },
    ),
    (
        {"type": "reasoning", "content": [{"type": "text", "text": "t"}], "encrypted_content": None},
        {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "t"}]},
    ),
    (
        {**CALL, "parsed_arguments": {"a": 1}, "caller": {"type": "direct"}},
        {**CALL, **DONE, "caller": {"type": "direct"}},
    ),
    ({**CALL, "namespace": "n", "arguments": ""}, {**CALL, **DONE, "namespace": "n", "arguments": ""}),
    (OUTPUT, {**OUTPUT, **DONE}),
    ({**OUTPUT, "output": [TEXT], "name": "f"}, {**OUTPUT, **DONE, "output": [TEXT], "name": "f"}),
    (
        {"type": "custom_tool_call", "call_id": "c", "name": "f", "input": "i"},
        {"type": "custom_tool_call", **DONE, "call_id": "c", "name": "f", "input": "i"},
    ),
    (
        {"type": "custom_tool_call_output", "call_id": "c", "output": "o"},
        {"type": "custom_tool_call_output", **DONE, "call_id": "c", "output": "o"},
    ),
    (LOCAL_SHELL, {**LOCAL_SHELL, **DONE, "action": {"type": "exec", "command": ["ls"], "env": {}}}),
    (
        {"type": "local_shell_call_output", "id": "c", "output": "o"},
        {"type": "local_shell_call_output", **DONE, "call_id": "c", "output": "o"},
    ),
    (
        SHELL,
        {
            **SHELL,
            **DONE,
            "action": {"commands": ["ls"], "timeout_ms": None, "max_output_length": None},
            "environment": None,
        },
    ),
    (
        {"type": "shell_call_output", "call_id": "c", "output": [SHELL_OUTPUT]},
        {"type": "shell_call_output", **DONE, "call_id": "c", "output": [SHELL_OUTPUT], "max_output_length": None},
    ),
    (PATCH, {**PATCH, **DONE}),
    (
        {"type": "apply_patch_call_output", "call_id": "c", "status": "failed", "output": None},
        {"type": "apply_patch_call_output", "status": "failed", "call_id": "c"},
    ),
    ({"type": "compaction_summary", "encrypted_content": "e"}, {"type": "compaction", "encrypted_content": "e"}),
    ({"type": "web_search_call"}, {"type": "web_search_call", **DONE, "action": {"type": "search"}}),
]


@pytest.mark.parametrize(("sent", "returned"), RETURNED, ids=lambda each: str(each.get("type", each.get("role"))))
def test_items_are_returned_whole(sent: dict[str, Any], returned: dict[str, Any]) -> None:
    """Each item is returned with an id and with all fields that OpenAI's schema requires, and is accepted again."""
    (stored,) = to_stored(read(sent))
    value = json.loads(stored.body)
    assert {**returned, "id": stored.id} == value
    assert to_stored(read(value)) == (stored,)
    assert to_stored(from_stored([stored])) == (stored,)


def test_a_string_is_a_message_of_the_user() -> None:
    """Input that is a string is one message of the user."""
    assert read_input("x") == read({"role": "user", "content": "x"})


def test_ids_are_kept_or_made() -> None:
    """An item keeps its id; one without gets one whose prefix says its type."""
    kept, *made = to_stored(read({"role": "user", "content": "x", "id": "mine"}, CALL, OUTPUT, CALL))
    assert kept.id == json.loads(kept.body)["id"] == "mine"
    assert [item.id.partition("_")[0] for item in made] == ["fc", "fco", "fc"]
    assert len({item.id for item in made}) == 3


def test_a_duplicate_id_is_refused() -> None:
    """Two items of one input with the same id are a 400 that names the second."""
    message = {"role": "user", "content": "x", "id": "m"}
    with pytest.raises(InvalidRequest, match="Duplicate item found with id m") as caught:
        to_stored(read(message, CALL, message))
    assert caught.value.param == "input[2].id"


def message(**part: Any) -> dict[str, Any]:
    return {"role": "user", "content": [TEXT, part]}


WRONG: list[tuple[Any, str, str]] = [
    ({"type": "mcp_list_tools", "server_label": "a b", "tools": []}, "input[0].server_label", "pattern"),
    (
        {"type": "mcp_list_tools", "server_label": "s", "tools": [{"name": "", "input_schema": {}}]},
        "input[0].tools[0].name",
        "empty",
    ),
    ({"type": "mcp_call", **MCP, "status": "late"}, "input[0].status", "'calling'"),
    ({"type": "mcp_call", **MCP, "error": 1}, "input[0].error", "expected"),
    ({"type": "mcp_approval_request", **MCP, "name": ""}, "input[0].name", "empty"),
    ({"type": "mcp_approval_response", "approve": True}, "input[0].approval_request_id", "Missing"),
    (1, "input[0]", "expected an object"),
    ({}, "input[0].role", "Missing"),
    ({"role": "tool", "content": "x"}, "input[0].role", "'user', 'assistant', 'system', 'developer'"),
    ({"role": "user"}, "input[0].content", "Missing"),
    ({"role": "user", "content": 1}, "input[0].content", "expected"),
    ({"role": "user", "content": "x", "extra": 1}, "input[0].extra", "Unrecognized"),
    ({"role": "user", "content": "x", "id": ""}, "input[0].id", "empty string"),
    ({"role": "user", "content": "x", "id": "i" * 65}, "input[0].id", "maximum length 64"),
    ({"role": "user", "content": "x", "status": "done"}, "input[0].status", "'in_progress'"),
    ({"role": "assistant", "content": "x", "phase": "middle"}, "input[0].phase", "'commentary'"),
    (message(type="input_text"), "input[0].content[1].text", "Missing"),
    (message(type="input_text", text=1), "input[0].content[1].text", "expected a string"),
    (message(type="input_text", text="x", file_id="f"), "input[0].content[1].file_id", "has no 'file_id'"),
    (message(type="output_text", text="x"), "input[0].content[1].type", "'input_text', 'input_image', 'input_file'"),
    (message(type="input_image"), "input[0].content[1].image_url", "Missing required parameter"),
    (message(type="input_image", image_url="u", file_id="f"), "input[0].content[1].file_id", "Give either"),
    (message(type="input_image", image_url="u", detail="big"), "input[0].content[1].detail", "'original'"),
    (message(type="input_image", image_url="u", text="x"), "input[0].content[1].text", "has no 'text'"),
    (message(type="audio"), "input[0].content[1].type", "Invalid value"),
    (
        message(type="input_text", text="x", prompt_cache_breakpoint={"mode": "m"}),
        "input[0].content[1].prompt_cache_breakpoint.mode",
        "'explicit'",
    ),
    ({**OUTPUT, "output": [message(type="x")["content"][1]]}, "input[0].output[0].type", "Invalid value"),
    ({**CALL, "call_id": None}, "input[0].call_id", "expected a string"),
    ({**CALL, "call_id": ""}, "input[0].call_id", "empty string"),
    ({**CALL, "name": "a b"}, "input[0].name", "pattern"),
    ({**CALL, "namespace": "a b"}, "input[0].namespace", "pattern"),
    ({**CALL, "arguments": "[1]"}, "input[0].arguments", "must be a JSON object"),
    ({**CALL, "arguments": "{"}, "input[0].arguments", "must be a JSON object"),
    ({**CALL, "caller": {"type": "program", "caller_id": "p"}}, "input[0].caller.type", "not served"),
    ({"type": "reasoning", "content": [{"type": "t", "text": ""}]}, "input[0].content[0].type", "'reasoning_text'"),
    ({"type": "reasoning", "summary": [{"type": "t", "text": ""}]}, "input[0].summary[0].type", "'summary_text'"),
    ({**LOCAL_SHELL, "call_id": None}, "input[0].call_id", "Missing"),
    ({**LOCAL_SHELL, "action": {"type": "run", "command": []}}, "input[0].action.type", "'exec'"),
    ({**SHELL, "environment": {"type": "container_reference"}}, "input[0].environment.type", "no containers"),
    ({**SHELL, "action": {"commands": [], "timeout_ms": -1}}, "input[0].action.timeout_ms", "below minimum"),
    (
        {"type": "shell_call_output", "call_id": "c", "output": [{**SHELL_OUTPUT, "outcome": {"type": "exit"}}]},
        "input[0].output[0].outcome.exit_code",
        "Missing",
    ),
    ({**PATCH, "operation": {"type": "update_file", "path": "a"}}, "input[0].operation.diff", "Missing"),
    ({**PATCH, "operation": {"type": "move", "path": "a"}}, "input[0].operation.type", "'create_file'"),
    ({"type": "apply_patch_call_output", "call_id": "c", "status": "incomplete"}, "input[0].status", "'failed'"),
    ({"type": "compaction"}, "input[0].encrypted_content", "Missing"),
    ({"type": "item_reference"}, "input[0].id", "Missing"),
    ({"type": "thing"}, "input[0].type", "'message', 'reasoning', 'function_call'"),
]


@pytest.mark.parametrize(("sent", "param", "words"), WRONG, ids=[f"{p}-{i}" for i, (_, p, _) in enumerate(WRONG)])
def test_what_is_wrong_is_refused_by_name(sent: Any, param: str, words: str) -> None:
    """A wrong item is a 400 that names the item and its field."""
    with pytest.raises(InvalidRequest) as caught:
        read(sent)
    assert caught.value.param == param
    assert words in caught.value.message


@pytest.mark.parametrize("kind", sorted(UNSERVED_TYPES))
def test_other_types_of_openai_are_refused_by_name(kind: str) -> None:
    """An item type that OpenAI has and this server does not serve is a 400 that says so."""
    with pytest.raises(InvalidRequest, match=f"Items of type '{kind}' are not served") as caught:
        read({"role": "user", "content": ""}, {"type": kind, "id": "x"})
    assert caught.value.param == "input[1].type"


def test_deep_json_is_refused() -> None:
    """JSON that is nested too deeply inside an item is a 400, and not a failure of the server."""
    deep: Any = {}
    for _ in range(500):
        deep = {"a": deep}
    with pytest.raises(InvalidRequest, match="nested too deeply"):
        read({"type": "web_search_call", "action": deep})
    with pytest.raises(InvalidRequest, match="nested too deeply"):
        read({"role": "assistant", "content": [{**ANSWER, "annotations": [deep]}]})


def test_errors_are_short() -> None:
    """No error repeats a long text of the request."""
    for sent in (
        {"type": "x" * 9999},
        {"role": "y" * 9999, "content": ""},
        {"role": "user", "content": "", "z" * 999: 1},
    ):
        with pytest.raises(InvalidRequest) as caught:
            read(sent)
        assert len(caught.value.message) < 800


def test_too_many_items_are_refused() -> None:
    """More items than the limit are a 400."""
    with pytest.raises(InvalidRequest, match=f"maximum length {MAX_ITEMS}"):
        read_input(raw({"role": "user", "content": ""}) * (MAX_ITEMS + 1))


def test_references_become_the_items() -> None:
    """An `item_reference`, with or without its type, is replaced by the stored item; all are looked up together."""
    stored = to_stored(read({"role": "assistant", "content": "a", "id": "m1"}, {**CALL, "id": "f1"}))
    asked = []

    def find(ids: Sequence[str]) -> Iterable[Item]:
        asked.append(list(ids))
        return stored

    items = read({"type": "item_reference", "id": "f1"}, OUTPUT, {"id": "m1"})
    resolved = resolve_references(items, find)
    assert [item.type for item in resolved] == ["function_call", "function_call_output", "message"]
    assert resolved[0] == from_stored(stored)[1]
    assert asked == [["f1", "m1"]]


def test_the_ids_of_items_without_one_are_given() -> None:
    """An item without an id gets the one that is made from its type's prefix and its place."""
    stored = to_stored(read({**CALL, "id": "mine"}, OUTPUT), new_id=lambda prefix, at: f"{prefix}-{at}")
    assert [item.id for item in stored] == ["mine", "fco-1"]


def test_an_unknown_reference_is_not_found() -> None:
    """A reference to an item that does not exist is a 404 that names it."""
    with pytest.raises(NotFound, match="Item with id 'x' not found") as caught:
        resolve_references(read({"type": "item_reference", "id": "x"}), lambda _: ())
    assert caught.value.param == "input"


def test_without_references_nothing_is_looked_up() -> None:
    """Input without references asks for no stored item, and a reference that is not resolved is not stored."""
    items = read(CALL)
    assert resolve_references(items, lambda _: pytest.fail("looked up")) == items
    with pytest.raises(ValueError, match="reference"):
        to_stored(read({"id": "x"}))


def test_every_served_type_is_tested() -> None:
    """The cases of this file have each served item type."""
    elsewhere = {"item_reference", "compaction", "compaction_trigger"}
    assert {sent.get("type", "message") for sent, _ in RETURNED} | elsewhere >= set(ITEM_TYPES)
