"""The MCP client against real servers on local ports."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from urllib.parse import urlsplit

import pytest

from homeport.domain.allowed_hosts import AllowedHosts
from homeport.domain.ports.mcp import McpFailed, McpServer
from homeport.serving.mcp.client import HttpMcpClient, HttpMcpSession
from homeport.serving.mcp.limits import McpLimits
from tests.tool_server import ToolServer, response, running, tool_server

LIMITS = McpLimits(list_s=30.0, call_s=30.0, close_s=1.0)


def session_of(url: str, limits: McpLimits = LIMITS, **headers: str) -> HttpMcpSession:
    """Return a session with a server whose host is allowed."""
    hosts = AllowedHosts([urlsplit(url).netloc])
    return HttpMcpClient(hosts, limits).open(McpServer("tests", url, headers))


@pytest.fixture
async def tools() -> AsyncIterator[ToolServer]:
    async with tool_server() as server:
        yield server


async def test_lists_and_calls_tools(tools: ToolServer) -> None:
    """A session lists a server's tools with schemas and hints, and calls them."""
    session = session_of(tools.url)
    try:
        listed = {tool.name: tool for tool in await session.list_tools()}
        result = await session.call("add", {"a": 2, "b": 3})
    finally:
        await session.close()
    assert listed["add"].description == "Add two numbers."
    assert listed["add"].input_schema["required"] == ["a", "b"]
    assert listed["add"].annotations == {"readOnlyHint": True}
    assert listed["files.delete"].annotations is None
    assert (result.text, result.is_error) == ("5", False)
    assert tools.calls == [("add", (2, 3))]


async def test_speaks_the_older_transport() -> None:
    """A server that knows only HTTP with SSE is used over it."""
    async with tool_server(over_events=True) as tools:
        session = session_of(tools.url)
        try:
            result = await session.call("add", {"a": 20, "b": 3})
        finally:
            await session.close()
    assert result.text == "23"


async def test_keeps_a_session(tools: ToolServer) -> None:
    """Several calls have one session with a server of the protocol of 2025, which is ended."""
    tools.has_sessions = True
    session = session_of(tools.url)
    for _ in range(2):
        assert (await session.call("add", {"a": 1, "b": 1})).text == "2"
    await session.close()
    assert len({each["mcp-session-id"] for each in tools.headers if "mcp-session-id" in each}) == 1
    assert tools.paths[-1] == "DELETE /mcp"


async def test_a_server_cannot_delay_the_end(tools: ToolServer) -> None:
    """A server that does not answer the end of its session delays it by the limit only."""
    tools.has_sessions = tools.hangs_at_end = True
    session = session_of(tools.url, replace(LIMITS, close_s=0.2))
    await session.call("add", {"a": 1, "b": 1})
    async with asyncio.timeout(20):
        await session.close()
    assert tools.paths[-1] == "DELETE /mcp"


async def test_sends_headers(tools: ToolServer) -> None:
    """The caller's headers are sent with every request, and the host is the one of the URL."""
    session = session_of(tools.url, authorization="Bearer secret")
    try:
        await session.list_tools()
    finally:
        await session.close()
    assert tools.headers
    assert {each["authorization"] for each in tools.headers} == {"Bearer secret"}
    assert {each["host"] for each in tools.headers} == {urlsplit(tools.url).netloc}
    assert {each["accept-encoding"] for each in tools.headers} == {"identity"}


async def test_a_failed_tool_is_a_result(tools: ToolServer) -> None:
    """A tool that fails returns its own text, marked as an error."""
    session = session_of(tools.url)
    try:
        result = await session.call("files.delete", {"path": "a.txt"})
    finally:
        await session.close()
    assert result.is_error
    assert "no such file: a.txt" in result.text


async def test_an_error_of_the_protocol_has_its_reason(tools: ToolServer) -> None:
    """A call that the server refuses by an error of the protocol fails with that error, whatever the HTTP status."""
    tools.refuses_calls = True
    session = session_of(tools.url)
    with pytest.raises(McpFailed, match="not today") as failed:
        await session.call("add", {"a": 1, "b": 1})
    await session.close()
    assert (failed.value.code, failed.value.http_status) == (-32602, None)


async def test_an_unknown_tool_fails(tools: ToolServer) -> None:
    """A call of a tool that the server lacks is an error, and the session can still be used."""
    session = session_of(tools.url)
    try:
        result = await session.call("nothing", {})
        assert result.is_error
        assert "nothing" in result.text
        assert (await session.call("add", {"a": 1, "b": 1})).text == "2"
    finally:
        await session.close()


async def test_other_content_is_named(tools: ToolServer) -> None:
    """Content that is no text is named by its type and size."""
    session = session_of(tools.url)
    try:
        result = await session.call("picture", {})
    finally:
        await session.close()
    assert result.text == "a dot\n\n[image: image/png, 3 bytes, not shown]"


async def test_a_long_result_is_refused(tools: ToolServer) -> None:
    """A result above the limit fails the call and says how long it is."""
    session = session_of(tools.url, replace(LIMITS, text_chars=1000))
    try:
        with pytest.raises(McpFailed, match="1001 characters; at most 1000"):
            await session.call("huge", {"size": 1001})
        assert len((await session.call("huge", {"size": 1000})).text) == 1000
    finally:
        await session.close()


async def test_a_huge_response_is_cut_off(tools: ToolServer) -> None:
    """A response above the limit in bytes ends the call, and the next call connects again."""
    session = session_of(tools.url, replace(LIMITS, response_bytes=50_000))
    try:
        with pytest.raises(McpFailed, match="50000 bytes"):
            await session.call("huge", {"size": 200_000})
        assert (await session.call("add", {"a": 1, "b": 1})).text == "2"
    finally:
        await session.close()


async def test_a_slow_call_ends(tools: ToolServer) -> None:
    """A call that takes too long fails, and the next one connects again."""
    session = session_of(tools.url, replace(LIMITS, call_s=2.0))
    try:
        with pytest.raises(McpFailed, match=r"within 2 seconds"):
            await session.call("slow", {})
        assert (await session.call("add", {"a": 1, "b": 1})).text == "2"
    finally:
        await session.close()


async def test_a_call_can_be_cancelled(tools: ToolServer) -> None:
    """Cancelling the task of a call ends it at once, and the connection can be closed."""
    session = session_of(tools.url)
    call = asyncio.create_task(session.call("slow", {}))
    async with asyncio.timeout(20):
        await tools.is_slow.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await session.close()


@pytest.mark.parametrize(
    ("status", "headers", "message"),
    [
        (401, {}, "HTTP status 401"),
        (500, {}, "HTTP status 500"),
        (307, {"location": "/elsewhere"}, "redirects"),
        (200, {"content-type": "text/html"}, "Unexpected content type"),
        (200, {"content-type": "application/json", "content-encoding": "gzip"}, "compressed"),
    ],
)
async def test_a_broken_server_fails(status: int, headers: dict[str, str], message: str) -> None:
    """A server that does not speak the protocol, refuses, redirects or compresses fails with the reason."""
    async with running(response(status, headers, b"no")) as port:
        session = session_of(f"http://127.0.0.1:{port}/mcp")
        with pytest.raises(McpFailed, match=message) as failed:
            await session.list_tools()
        await session.close()
    assert failed.value.http_status == (status if status != 200 else None)


async def test_nobody_listens() -> None:
    """A server that is not there fails at once."""
    async with running(response(404)) as port:
        pass
    session = session_of(f"http://127.0.0.1:{port}/mcp")
    with pytest.raises(McpFailed, match="not reached"):
        await session.list_tools()
    await session.close()


async def test_a_redirect_reaches_nothing(tools: ToolServer) -> None:
    """A redirect to another server is not followed: that server receives nothing."""
    async with running(response(307, {"location": tools.url})) as port:
        session = session_of(f"http://127.0.0.1:{port}/mcp")
        with pytest.raises(McpFailed, match="redirects"):
            await session.list_tools()
        await session.close()
    assert not tools.paths


def test_other_hosts_are_refused() -> None:
    """A session with a host that is not listed cannot be opened."""
    client = HttpMcpClient(AllowedHosts(["mcp.example.com"]))
    with pytest.raises(ValueError, match="not one that this server may reach"):
        client.open(McpServer("other", "https://other.example.com/mcp"))


def test_the_extra_is_imported_at_its_use_only() -> None:
    """A server starts without the library: only a session that connects imports it."""
    program = "import sys; sys.modules['mcp'] = None; import homeport.app.server; assert 'mcp_types' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
