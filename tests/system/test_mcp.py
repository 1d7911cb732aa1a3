"""Responses with tools of an MCP server, with the current official client over real HTTP, on real weights."""

from collections.abc import Iterator
from typing import Any

import openai
import pytest

from tests.openai_schemas import check, check_event
from tests.system.server import ServerProcess
from tests.tool_server import ToolServer

MODEL = "smollm2-135m"
ASK = "What is the weather in Rome?"


@pytest.fixture
def client(mcp_server: ServerProcess) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=mcp_server.base, api_key="sk-test", max_retries=0, timeout=120) as made:
        yield made


def create(client: openai.OpenAI, tools: ToolServer, **fields: Any) -> Any:
    """Create a response whose model has to ask for the weather."""
    server: Any = {
        "type": "mcp",
        "server_label": "tests",
        "server_url": tools.url,
        "allowed_tools": ["get_weather"],
        "require_approval": "never",
        "authorization": "s3cret",
        **fields.pop("server", {}),
    }
    choice = {"type": "mcp", "server_label": "tests", "name": "get_weather"}
    given = {"model": MODEL, "input": ASK, "temperature": 0, "max_output_tokens": 60, "tool_choice": choice, **fields}
    return client.responses.create(tools=[server], **given)


def test_a_tool_is_called(client: openai.OpenAI, tools: ToolServer, mcp_server: ServerProcess) -> None:
    """The model calls a tool of a server and continues with its result; streamed and whole are the same."""
    whole = create(client, tools)
    listed, call, message = whole.output
    assert [tool.name for tool in listed.tools] == ["get_weather"]
    assert (call.type, call.name, call.status) == ("mcp_call", "get_weather", "completed")
    assert call.output.startswith("It is sunny in ")
    assert message.type == "message"
    events = [event.to_dict(mode="json") for event in create(client, tools, stream=True)]
    for event in events:
        check_event(event)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert [item["type"] for item in events[-1]["response"]["output"]] == ["mcp_list_tools", "mcp_call", "message"]
    assert "s3cret" not in mcp_server.log.read_text()


def test_approval_in_the_background(client: openai.OpenAI, tools: ToolServer, mcp_server: ServerProcess) -> None:
    """A background response asks for approval, and the next one makes the approved call."""
    fields = {"require_approval": "always", "authorization": None}
    asked = create(client, tools, server=fields, background=True)
    mcp_server.wait("the request for approval", lambda: client.responses.retrieve(asked.id).status == "completed")
    request = client.responses.retrieve(asked.id).output[-1]
    assert request.type == "mcp_approval_request"
    n_calls = len(tools.calls)
    approval = {"type": "mcp_approval_response", "approval_request_id": request.id, "approve": True}
    done = create(client, tools, server=fields, input=[approval], previous_response_id=asked.id, tool_choice="none")
    check("Response", done.to_dict(mode="json"))
    assert (done.output[0].type, done.output[0].approval_request_id) == ("mcp_call", request.id)
    assert len(tools.calls) == n_calls + 1
    assert [item.type for item in done.output] == ["mcp_call", "message"]


def test_other_hosts_are_refused(client: openai.OpenAI, tools: ToolServer) -> None:
    """A server on a host that is not listed is a 400 that names the URL."""
    with pytest.raises(openai.BadRequestError) as refused:
        create(client, tools, server={"server_url": "http://127.0.0.1:1/mcp"})
    assert refused.value.param == "tools[0].server_url"
