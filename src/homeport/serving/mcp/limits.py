"""Bounds of what an MCP server may do. Values only."""

from dataclasses import dataclass


@dataclass(frozen=True)
class McpLimits:
    """The bounds, which are the same for all servers. Times in seconds.

    `list_s`, `call_s`: the time for a list and for a call, each with connecting; `close_s`: for the end of a
    connection. `response_bytes`: the size of one HTTP response; `text_chars`: of a tool's result as text; `tools`: the
    tools of one server.
    """

    list_s: float = 30.0
    call_s: float = 120.0
    close_s: float = 2.0
    response_bytes: int = 4_000_000
    text_chars: int = 262_144
    tools: int = 1024
