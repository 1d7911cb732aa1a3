"""What tests of responses share."""

from collections.abc import AsyncIterator

import pytest

from tests.tool_server import ToolServer, tool_server


@pytest.fixture
async def tools() -> AsyncIterator[ToolServer]:
    """A real MCP server on a local port."""
    async with tool_server() as server:
        yield server
