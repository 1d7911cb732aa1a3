"""Calls of tools of an MCP server that wait for approval."""

from typing import Any

import pytest

from tests import openai_schemas
from tests.api.responses.calls import PATH
from tests.api.responses.mcp_apps import ADD, app_of, events_of, mcp, results_of
from tests.tool_server import ToolServer


async def test_approval(tools: ToolServer) -> None:
    """By default a call waits for approval: the response ends, and the next one makes the call."""
    app = app_of(tools.url, ADD)
    declared = mcp(tools.url, require_approval=...)
    del declared["require_approval"]
    first = await app.answer(tools=[declared])
    asked = first["output"][-1]
    openai_schemas.check("MCPApprovalRequest", asked)
    assert (asked["name"], asked["arguments"], first["status"]) == ("add", '{"a": 2, "b": 3}', "completed")
    assert not tools.calls
    approval = {"type": "mcp_approval_response", "approval_request_id": asked["id"], "approve": True}
    events = events_of(
        await app.create(tools=[declared], previous_response_id=first["id"], input=[approval], stream=True)
    )
    call, message = events[-1]["response"]["output"]
    assert (call["type"], call["approval_request_id"], call["output"]) == ("mcp_call", asked["id"], "5")
    assert message["type"] == "message"
    assert tools.calls == [("add", (2, 3))]
    assert results_of(app) == ["5"]
    third = await app.answer(tools=[declared], previous_response_id=events[-1]["response"]["id"], input="Thanks")
    assert [item["type"] for item in third["output"]] == ["message"]
    assert len(tools.calls) == 1


async def test_refused_approval(tools: ToolServer) -> None:
    """A call that the caller refuses is not made, and the model reads that and why."""
    app = app_of(tools.url, ADD)
    first = await app.answer(tools=[mcp(tools.url, require_approval="always")])
    refusal = {
        "type": "mcp_approval_response",
        "approval_request_id": first["output"][-1]["id"],
        "approve": False,
        "reason": "Too dear.",
    }
    second = await app.answer(tools=[mcp(tools.url)], previous_response_id=first["id"], input=[refusal])
    assert not tools.calls
    assert results_of(app) == ["The user did not approve this call, so it was not made. Reason: Too dear."]
    listed = await app.send("GET", f"{PATH}/{second['id']}/input_items")
    openai_schemas.check("MCPApprovalResponseResource", listed.json["data"][0])


async def test_an_answer_whose_request_was_deleted(tools: ToolServer) -> None:
    """An earlier answer whose request is no longer in the conversation is ignored."""
    app = app_of(tools.url, ADD)
    conversation = (await app.send("POST", "/v1/conversations", {})).json["id"]
    first = await app.answer(tools=[mcp(tools.url, require_approval="always")], conversation=conversation)
    asked = first["output"][-1]["id"]
    refusal = {"type": "mcp_approval_response", "approval_request_id": asked, "approve": False}
    await app.answer(tools=[mcp(tools.url)], conversation=conversation, input=[refusal])
    deleted = await app.send("DELETE", f"/v1/conversations/{conversation}/items/{asked}")
    assert deleted.status == 200
    await app.answer(tools=[mcp(tools.url)], conversation=conversation)
    assert not results_of(app)


async def test_approval_needs_its_request_and_server(tools: ToolServer) -> None:
    """An approval without its request, answered twice, or without its server in `tools` is a 400."""
    app = app_of(tools.url, ADD)
    declared = mcp(tools.url, require_approval="always")
    first = await app.answer(tools=[declared])
    approval = {"type": "mcp_approval_response", "approval_request_id": first["output"][-1]["id"], "approve": True}
    unknown = await app.create(tools=[declared], input=[approval])
    assert (unknown.status, unknown.error["param"]) == (400, "input[0]")
    twice = await app.create(tools=[declared], previous_response_id=first["id"], input=[approval, approval])
    assert (twice.status, twice.error["param"]) == (400, "input[1]")
    elsewhere = await app.create(previous_response_id=first["id"], input=[approval])
    assert (elsewhere.status, elsewhere.error["param"]) == (400, "tools")
    assert not tools.calls


@pytest.mark.parametrize(
    ("rules", "is_asked"),
    [
        ({"never": {"tool_names": ["add"]}}, False),
        ({"never": {"tool_names": ["slow"]}}, True),
        ({"never": {"read_only": True}}, False),
        ({"never": {"read_only": False}}, True),
        ({"always": {"tool_names": ["add"]}, "never": {}}, True),
        ({"always": {"tool_names": ["slow"]}}, True),
        (None, True),
    ],
)
async def test_approval_of_some_tools(tools: ToolServer, rules: Any, is_asked: bool) -> None:
    """`require_approval` names tools, or those that only read; what `never` does not name needs approval."""
    app = app_of(tools.url, ADD)
    body = await app.answer(tools=[mcp(tools.url, require_approval=rules)])
    assert (body["output"][1]["type"] == "mcp_approval_request") is is_asked
