"""Responses whose model uses the tools of a real MCP server on a local port. The model is scripted."""

import asyncio
from dataclasses import replace

import pytest

from tests import openai_schemas
from tests.api.responses.calls import calling
from tests.api.responses.mcp_apps import ADD, DELETE_NAME, LIMITS, app_of, events_of, mcp, results_of
from tests.tool_server import ToolServer


async def test_a_model_calls_tools_of_a_server(tools: ToolServer) -> None:
    """A response lists a server's tools, calls one, and the model reads the result in its next turn."""
    app = app_of(tools.url, ADD)
    body = await app.answer(tools=[mcp(tools.url)])
    openai_schemas.check("Response", body)
    listed, call, message = body["output"]
    assert (listed["type"], listed["server_label"], listed["error"]) == ("mcp_list_tools", "tests", None)
    assert listed["tools"][0]["name"] == "add"
    assert listed["tools"][0]["annotations"] == {"readOnlyHint": True}
    assert call == {
        "type": "mcp_call",
        "id": call["id"],
        "status": "completed",
        "server_label": "tests",
        "name": "add",
        "arguments": '{"a": 2, "b": 3}',
        "approval_request_id": None,
        "output": "5",
        "error": None,
    }
    assert call["id"].startswith("mcp_")
    assert message["content"][0]["text"] == "Done"
    assert tools.calls == [("add", (2, 3))]
    assert results_of(app) == ["5"]
    first = app.serving.requests[0][1]
    assert first.prompts[0].tools.tools[0].name == "tests__add"  # type: ignore[union-attr]


async def test_events_of_a_stream(tools: ToolServer) -> None:
    """A stream has the events of the list and of the call, in OpenAI's order, and ends with the same response."""
    app = app_of(tools.url, ADD)
    events = events_of(await app.create(tools=[mcp(tools.url)], stream=True))
    types = [event["type"].removeprefix("response.") for event in events]
    assert types[:15] == [
        "created",
        "in_progress",
        "output_item.added",
        "mcp_list_tools.in_progress",
        "mcp_list_tools.completed",
        "output_item.done",
        "output_item.added",
        "mcp_call.in_progress",
        "mcp_call_arguments.delta",
        "mcp_call_arguments.done",
        "mcp_call.completed",
        "output_item.done",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
    ]
    assert events[9]["arguments"] == '{"a": 2, "b": 3}'
    done = [event["item"] for event in events if event["type"] == "response.output_item.done"]
    assert [event["output_index"] for event in events if event["type"] == "response.output_item.done"] == [0, 1, 2]
    assert done == events[-1]["response"]["output"]


async def test_resent_items_are_the_same_prompt(tools: ToolServer) -> None:
    """Output that the client sends back gives the model the same messages as the chain of responses."""
    app = app_of(tools.url, ADD)
    first = await app.answer(tools=[mcp(tools.url)])
    await app.answer(tools=[mcp(tools.url)], previous_response_id=first["id"], input="More")
    chained = app.last_prompt.messages
    items = [{"role": "user", "content": "Hello"}, *first["output"], {"role": "user", "content": "More"}]
    await app.answer(tools=[mcp(tools.url)], input=items, store=False)
    assert app.last_prompt.messages == chained


async def test_a_failed_tool(tools: ToolServer) -> None:
    """A tool that fails is an item with its error, which the model reads, and the response goes on."""
    app = app_of(tools.url, calling(DELETE_NAME, '{"path": "a.txt"}'))
    events = events_of(await app.create(tools=[mcp(tools.url)], stream=True))
    assert "response.mcp_call.failed" in [event["type"] for event in events]
    [_, call, _] = events[-1]["response"]["output"]
    assert (call["name"], call["status"], call["output"]) == ("files.delete", "failed", None)
    assert call["error"]["type"] == "mcp_tool_execution_error"
    assert "no such file: a.txt" in call["error"]["content"][0]["text"]
    assert results_of(app)[0].startswith("The call failed. ")
    assert "no such file" in results_of(app)[0]


async def test_failures_of_calls(tools: ToolServer) -> None:
    """Long results and arguments that are no object are errors of their items."""
    scripts = [calling("tests__huge", '{"size": 2000}'), calling("tests__add", "[]")]
    app = app_of(tools.url, *scripts, limits=replace(LIMITS, text_chars=1000))
    body = await app.answer(tools=[mcp(tools.url)])
    errors = [item["error"] for item in body["output"] if item["type"] == "mcp_call"]
    assert [error["type"] for error in errors] == ["mcp_protocol_error"] * 2
    assert "2000 characters" in errors[0]["message"]
    assert "not a JSON object" in errors[1]["message"]
    openai_schemas.check("Response", body)


async def test_a_slow_call(tools: ToolServer) -> None:
    """A call that takes too long is an error of its item, and the response continues."""
    app = app_of(tools.url, calling("tests__slow", "{}"), limits=replace(LIMITS, call_s=0.5))
    body = await app.answer(tools=[mcp(tools.url)])
    [_, call, message] = body["output"]
    assert call["error"] == {
        "type": "mcp_protocol_error",
        "code": -32001,
        "message": "It did not respond within 0.5 seconds.",
    }
    assert message["type"] == "message"


async def test_a_caller_that_leaves_ends_the_call(tools: ToolServer) -> None:
    """When the request is cancelled during a call, the call ends and nothing is left running."""
    app = app_of(tools.url, calling("tests__slow", "{}"))
    before = asyncio.all_tasks()
    sending = asyncio.create_task(app.create(tools=[mcp(tools.url)], stream=True))
    async with asyncio.timeout(20):
        await tools.is_slow.wait()
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        left = {task for task in asyncio.all_tasks() - before if "hold" in repr(task.get_coro())}
    assert not left
