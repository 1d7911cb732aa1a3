"""Declarations of MCP servers, their credentials, and the choice of their tools."""

from typing import Any

import pytest

from homeport.api.responses.mcp_declaration import MAX_SERVERS
from tests.api.responses.mcp_apps import ADD, app_of, mcp
from tests.tool_server import ToolServer


async def test_credentials_are_sent_and_kept_nowhere(tools: ToolServer) -> None:
    """Headers and authorization reach the server, and neither they nor the URL's path are returned or stored."""
    app = app_of(tools.url, ADD)
    declared = mcp(tools.url, authorization="s3cret", headers={"x-team": "s3cret too"})
    body = await app.answer(tools=[declared])
    assert {each["authorization"] for each in tools.headers} == {"Bearer s3cret"}
    assert {each["x-team"] for each in tools.headers} == {"s3cret too"}
    [echo] = body["tools"]
    origin = tools.url.removesuffix("/mcp")
    assert echo == {
        "type": "mcp",
        "server_label": "tests",
        "server_url": f"{origin}/<redacted>",
        "require_approval": "never",
        "headers": None,
        "allowed_tools": None,
    }
    kept = app.responses.responses[body["id"]]
    assert "s3cret" not in repr(kept)
    again = await app.create(tools=[echo])
    assert (again.status, again.error["param"]) == (400, "tools[0].server_url")


async def test_credentials_and_background(tools: ToolServer) -> None:
    """A background response, which is stored with its request, accepts no credentials."""
    app = app_of(tools.url)
    for fields in ({"authorization": "s3cret"}, {"headers": {"x-team": "s3cret"}}):
        refused = await app.create(tools=[mcp(tools.url, **fields)], background=True)
        assert (refused.status, refused.error["param"]) == (400, f"tools[0].{next(iter(fields))}")
        assert "s3cret" not in refused.error["message"]
    accepted = await app.create(tools=[mcp(tools.url)], background=True)
    assert accepted.json["status"] == "queued"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"server_label": None}, "server_label"),
        ({"server_label": "a b"}, "server_label"),
        ({"server_url": None}, "server_url"),
        ({"server_url": "https://other.example.com/mcp"}, "server_url"),
        ({"server_url": "file:///etc/passwd"}, "server_url"),
        ({"connector_id": "connector_gmail"}, "connector_id"),
        ({"tunnel_id": "tunnel_1"}, "tunnel_id"),
        ({"defer_loading": True}, "defer_loading"),
        ({"allowed_callers": ["programmatic"]}, "allowed_callers"),
        ({"require_approval": "sometimes"}, "require_approval"),
        ({"require_approval": {"often": {}}}, "require_approval.often"),
        ({"allowed_tools": {"names": []}}, "allowed_tools.names"),
        ({"headers": {"host": "other"}}, "headers.host"),
        ({"headers": {"x\r\ny": "z"}}, "headers.x\r\ny"),
        ({"headers": {"x": "a\r\nb: c"}}, "headers.x"),
        ({"headers": {"Authorization": "x"}, "authorization": "y"}, "authorization"),
        ({"unknown": 1}, "unknown"),
    ],
)
async def test_wrong_declarations(tools: ToolServer, fields: dict[str, Any], param: str) -> None:
    """A declaration that is wrong, or asks for what is not served, is a 400 that names its field."""
    app = app_of(tools.url)
    refused = await app.create(tools=[mcp(tools.url, **fields)])
    assert (refused.status, refused.error["param"]) == (400, f"tools[0].{param}")
    assert not tools.paths


async def test_two_servers_need_two_labels(tools: ToolServer) -> None:
    """Two servers with one label are a 400, and so are too many servers."""
    refused = await app_of(tools.url).create(tools=[mcp(tools.url), mcp(tools.url)])
    assert (refused.status, refused.error["param"]) == (400, "tools[1].server_label")
    servers = [mcp(tools.url, server_label=f"s{number}") for number in range(MAX_SERVERS + 1)]
    refused = await app_of(tools.url).create(tools=servers)
    assert (refused.status, refused.error["param"]) == (400, "tools")
    assert not tools.paths


@pytest.mark.parametrize(
    ("choice", "mode", "names"),
    [
        ({"type": "mcp", "server_label": "tests", "name": "add"}, "named", ("tests__add",)),
        ({"type": "mcp", "server_label": "tests"}, "required", ("tests__add", "tests__slow")),
        (
            {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "mcp", "server_label": "tests"}]},
            "auto",
            ("tests__add", "tests__slow"),
        ),
    ],
)
async def test_tool_choice(tools: ToolServer, choice: Any, mode: str, names: tuple[str, ...]) -> None:
    """`tool_choice` forces a tool of a server, or any of them."""
    app = app_of(tools.url)
    body = await app.answer(tools=[mcp(tools.url, allowed_tools=["add", "slow"])], tool_choice=choice)
    use = app.last_prompt.tools
    assert use is not None
    assert (use.choice.mode, use.choice.names) == (mode, names)
    assert body["tool_choice"] == choice


@pytest.mark.parametrize(
    ("choice", "param"),
    [
        ({"type": "mcp"}, "tool_choice.server_label"),
        ({"type": "mcp", "server_label": "others"}, "tool_choice"),
        ({"type": "mcp", "server_label": "tests", "name": "subtract"}, "tool_choice"),
    ],
)
async def test_wrong_tool_choice(tools: ToolServer, choice: Any, param: str) -> None:
    """A choice of a tool or server that is not declared is a 400."""
    refused = await app_of(tools.url).create(tools=[mcp(tools.url)], tool_choice=choice)
    assert (refused.status, refused.error["param"]) == (400, param)
