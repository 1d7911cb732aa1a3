"""What a tool of an MCP server returns, as the text that a model reads. Knows nothing of connections."""

from typing import Any

import msgspec
from mcp_types import (
    AudioContent,
    CallToolResult,
    EmbeddedResource,
    ImageContent,
    ResourceLink,
    TextContent,
    TextResourceContents,
)

from homeport.domain.ports.mcp import McpFailed, McpResult


def to_result(result: CallToolResult, max_chars: int) -> McpResult:
    """Return a result as text: its texts as paragraphs, what is no text by its name and type.

    A result without texts is its structured content, as JSON. Raises McpFailed for more than `max_chars` characters.
    """
    blocks = [_to_text(each) for each in result.content]
    if not blocks and result.structured_content is not None:
        blocks = [msgspec.json.encode(result.structured_content).decode()]
    text = "\n\n".join(blocks)
    if len(text) > max_chars:
        raise McpFailed(f"Its result has {len(text)} characters; at most {max_chars} are accepted.")
    return McpResult(text, is_error=bool(result.is_error))


def _to_text(block: Any) -> str:
    if isinstance(block, TextContent):
        return block.text
    if isinstance(block, ResourceLink):
        return f"[resource {block.name}: {block.uri}]"
    if isinstance(block, EmbeddedResource):
        resource = block.resource
        if isinstance(resource, TextResourceContents):
            return resource.text
        return f"[resource {resource.uri}: {resource.mime_type or 'binary data'}, not shown]"
    if isinstance(block, ImageContent | AudioContent):
        return f"[{block.type}: {block.mime_type}, {_n_bytes(block.data)} bytes, not shown]"
    return "[content of an unknown type]"


def _n_bytes(data: str) -> int:
    return len(data) * 3 // 4 - data[-2:].count("=")
