"""The JSON of tools and of `tool_choice`. Fields only: `tools` and `tool_choice` check their values."""

from typing import Any

import msgspec


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


class EnvironmentBody(msgspec.Struct, kw_only=True):
    """Where a shell runs."""

    type: str


class ShellBody(ToolBody, kw_only=True):
    """A shell that the caller runs."""

    environment: EnvironmentBody | None = None


class AllowedTool(msgspec.Struct, kw_only=True):
    """A declared tool. Other fields are ignored: it may repeat the whole declaration."""

    type: str | None = None
    name: str | None = None
    namespace: str | None = None


class ChoiceBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The object form of `tool_choice`: the fields of all its types."""

    type: str | None = None
    name: str | None = None
    namespace: str | None = None
    mode: str | None = None
    tools: list[AllowedTool] | None = None
    server_label: str | None = None
