"""What a declared MCP server brings into a response: its tools, listed once."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from homeport.api.responses.tool_names import mcp_name
from homeport.domain.ports.mcp import McpFailed, McpResult, McpServer, McpTool
from homeport.domain.tool_fields import MAX_TOOLS
from homeport.serving.mcp.client import HttpMcpClient
from tests import openai_schemas
from tests.api.fakes import FakeServing
from tests.api.responses.calls import ResponseApp
from tests.api.responses.mcp_apps import ADD, DELETE_NAME, ScriptedModel, app_of, mcp, results_of
from tests.tool_server import ToolServer, response, running


async def test_a_list_is_reused(tools: ToolServer) -> None:
    """A response that continues another one lists nothing: it has the tools of the earlier list."""
    app = app_of(tools.url, ADD)
    first = await app.answer(tools=[mcp(tools.url)])
    n_requests = len(tools.paths)
    second = await app.answer(tools=[mcp(tools.url)], previous_response_id=first["id"])
    assert len(tools.paths) == n_requests
    assert [item["type"] for item in second["output"]] == ["message"]
    assert [tool.name for tool in app.last_prompt.tools.tools][:2] == ["tests__add", DELETE_NAME]  # type: ignore[union-attr]
    assert results_of(app) == ["5"]


@pytest.mark.parametrize(
    ("allowed", "names"),
    [
        (["add"], ["add"]),
        ({"tool_names": ["add", "slow"]}, ["add", "slow"]),
        ({"read_only": True}, ["add"]),
        ({"read_only": False, "tool_names": ["add", "slow"]}, ["slow"]),
        ([], []),
    ],
)
async def test_allowed_tools(tools: ToolServer, allowed: Any, names: list[str]) -> None:
    """`allowed_tools` decides which tools are listed and offered."""
    app = app_of(tools.url)
    body = await app.answer(tools=[mcp(tools.url, allowed_tools=allowed)])
    assert [tool["name"] for tool in body["output"][0]["tools"]] == names
    offered = [] if app.last_prompt.tools is None else [tool.name for tool in app.last_prompt.tools.tools]
    assert offered == [f"tests__{name}" for name in names]


async def test_a_server_without_a_list_fails_the_request() -> None:
    """If the tools cannot be listed, the request is a 424 with the reason, before any answer."""
    async with running(response(401)) as port:
        url = f"http://127.0.0.1:{port}/mcp"
        app = app_of(url)
        failed = await app.create(tools=[mcp(url)], stream=True)
    assert failed.status == 424
    assert failed.error == {
        "message": "Error retrieving tool list from MCP server: 'tests'. It responds with the HTTP status 401.",
        "type": "external_connector_error",
        "param": "tools",
        "code": "http_error",
    }
    assert not app.serving.requests


async def test_without_the_extra(tools: ToolServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra, a declaration is a 400 that names its type and what to install."""
    monkeypatch.setattr(HttpMcpClient, "is_installed", False)
    for app in (app_of(tools.url), ResponseApp()):
        refused = await app.create(tools=[mcp(tools.url)])
        assert (refused.status, refused.error["param"], refused.error["code"]) == (
            400,
            "tools[0].type",
            "missing_extra",
        )
        assert "pip install 'homeport[mcp]'" in refused.error["message"]


class FakeClient:
    """A client whose only server lists `tools`; without them it never answers. `closed` is set when a session ends."""

    is_installed = True

    def __init__(self, tools: Sequence[McpTool] | None) -> None:
        self._tools = tools
        self.asked = asyncio.Event()
        self.closed = asyncio.Event()

    def check(self, _: str) -> None:
        """Allow every server."""

    def open(self, _: McpServer) -> "FakeClient":
        """Return the session."""
        return self

    async def list_tools(self) -> Sequence[McpTool]:
        """Return the tools."""
        self.asked.set()
        if self._tools is None:
            await asyncio.Event().wait()
        return self._tools or ()

    async def call(self, _: str, __: Mapping[str, Any]) -> McpResult:
        """Refuse."""
        raise McpFailed("No.")

    async def close(self) -> None:
        """Record it."""
        self.closed.set()


async def test_tools_of_a_careless_server() -> None:
    """Repeated names, and schemas that are not of objects or too deep, break neither the prompt nor the item."""
    deep: dict[str, Any] = {}
    for _ in range(100):
        deep = {"properties": {"a": deep}}
    listed = [
        McpTool("a", None, {"type": "string"}),
        McpTool("a", "again", {}),
        McpTool("b", "", deep, {"title": "B"}),
        McpTool("c c", None, {"properties": {"x": {}}}),
        McpTool("", None, {}),
    ]
    app = ResponseApp(FakeServing(ScriptedModel()), mcp=FakeClient(listed))
    body = await app.answer(tools=[mcp("https://mcp.example.com/", server_description="Three letters.")])
    use = app.last_prompt.tools
    assert use is not None
    assert [(tool.name, tool.parameters) for tool in use.tools] == [
        ("tests__a", '{"type":"object"}'),
        ("tests__b", '{"type":"object"}'),
        (mcp_name("c c", "tests"), '{"type":"object","properties":{"x":{}}}'),
    ]
    assert use.tools[0].description == "tests: Three letters."
    [item, _] = body["output"]
    openai_schemas.check("MCPListTools", item)
    again = await app.answer(tools=[mcp("https://mcp.example.com/")], input=[item, {"role": "user", "content": "Hi"}])
    assert [each["type"] for each in again["output"]] == ["message"]


async def test_too_many_tools() -> None:
    """More tools than can be offered are a 400 that names the field that chooses some."""
    tools = [McpTool(f"t{number}", None, {}) for number in range(MAX_TOOLS + 1)]
    app = ResponseApp(mcp=FakeClient(tools))
    refused = await app.create(tools=[mcp("https://mcp.example.com/")])
    assert (refused.status, refused.error["param"]) == (400, "tools[0].allowed_tools")
    names = [tool.name for tool in tools[1:]]
    body = await app.answer(tools=[mcp("https://mcp.example.com/", allowed_tools=names)])
    assert len(body["output"][0]["tools"]) == MAX_TOOLS


async def test_a_caller_that_leaves_ends_the_list() -> None:
    """When the caller leaves while tools are listed, the session ends and no model is asked."""
    client = FakeClient(None)
    app = ResponseApp(mcp=client)
    sending = asyncio.create_task(app.create(tools=[mcp("https://mcp.example.com/")]))
    async with asyncio.timeout(20):
        await client.asked.wait()
        sending.cancel()
        await client.closed.wait()
    assert not app.serving.requests


async def test_servers_of_items_are_refused() -> None:
    """A server that an item of the input declares is a 400: items are stored, and its credentials would be."""
    declared = {"type": "additional_tools", "role": "developer", "tools": [mcp("https://mcp.example.com/")]}
    app = ResponseApp(mcp=FakeClient(()))
    refused = await app.create(input=[declared, {"role": "user", "content": "Hi"}])
    assert (refused.status, refused.error["param"]) == (400, "input[0].tools[0]")
    refused = await app.send("POST", "/v1/conversations", {"items": [declared]})
    assert refused.status == 400
