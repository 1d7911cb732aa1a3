"""The JSON of tools and of `tool_choice`. Fields only: `tools` and `tool_choice` check their values."""

from typing import Any

import msgspec

from homeport.api.vector_stores.schema import RankingOptions


class ToolHead(msgspec.Struct):
    """The field that identifies a tool's type."""

    type: str | None = None


class ToolBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The fields of every tool. `allowed_callers`: who may call it, of whom only the model itself is served."""

    type: str
    allowed_callers: list[str] | None = None


class FunctionBody(ToolBody, kw_only=True):
    """A function. `output_schema` describes its results, and changes nothing; `defer_loading` hides it until found."""

    name: str | None = None
    description: str | None = None
    parameters: Any = None
    strict: bool | None = None
    output_schema: dict[str, Any] | None = None
    defer_loading: bool | None = None


class InputFormat(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The form of a custom tool's input."""

    type: str | None = None
    syntax: str | None = None
    definition: str | None = None


class CustomBody(ToolBody, kw_only=True):
    """A tool that takes text."""

    name: str | None = None
    description: str | None = None
    format: InputFormat | None = None
    defer_loading: bool | None = None


class NamespaceBody(ToolBody, kw_only=True):
    """Functions and custom tools that have a name in common."""

    name: str | None = None
    description: str | None = None
    tools: list[msgspec.Raw] | None = None


class WebSearchBody(ToolBody, kw_only=True):
    """A search in the web, of which only the offline form is served: a cache that is empty."""

    external_web_access: bool | None = None
    indexed_web_access: bool | None = None
    filters: Any = None
    user_location: Any = None
    search_context_size: str | None = None
    search_content_types: list[str] | None = None


class ImageToolBody(ToolBody, kw_only=True):
    """The generation of images by the server."""

    model: str | None = None
    quality: str | None = None
    size: str | None = None
    output_format: str | None = None
    output_compression: int | None = None
    moderation: str | None = None
    background: str | None = None
    input_fidelity: str | None = None
    input_image_mask: Any = None
    partial_images: int | None = None
    action: str | None = None


class FileSearchToolBody(ToolBody, kw_only=True):
    """The search of vector stores by the server."""

    vector_store_ids: list[str] | None = None
    max_num_results: int | None = None
    ranking_options: RankingOptions | None = None
    filters: Any = None


class EnvironmentBody(msgspec.Struct, kw_only=True):
    """Where a shell runs."""

    type: str


class ShellBody(ToolBody, kw_only=True):
    """A shell that the caller runs."""

    environment: EnvironmentBody | None = None


class McpFilter(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Some of an MCP server's tools. `read_only`: those that the server says change nothing, or the others."""

    tool_names: list[str] | None = None
    read_only: bool | None = None


class McpRules(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The tools of an MCP server whose calls always or never need approval."""

    always: McpFilter | None = None
    never: McpFilter | None = None


class McpBody(ToolBody, kw_only=True):
    """An MCP server whose tools the model may call."""

    server_label: str | None = None
    server_url: str | None = None
    connector_id: str | None = None
    tunnel_id: str | None = None
    authorization: str | None = None
    server_description: str | None = None
    headers: dict[str, str] | None = None
    allowed_tools: list[str] | McpFilter | None = None
    require_approval: str | McpRules | None = None
    defer_loading: bool | None = None


class AllowedTool(msgspec.Struct, kw_only=True):
    """A declared tool. Other fields are ignored: it may repeat the whole declaration."""

    type: str | None = None
    name: str | None = None
    namespace: str | None = None
    server_label: str | None = None


class ChoiceBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The object form of `tool_choice`: the fields of all its types."""

    type: str | None = None
    name: str | None = None
    namespace: str | None = None
    mode: str | None = None
    tools: list[AllowedTool] | None = None
    server_label: str | None = None
