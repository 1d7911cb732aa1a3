"""A declared MCP server: `tools` of type `mcp`, checked and converted, and as a response returns it.

Knows nothing of connections and of items.
"""

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import msgspec

from homeport.api import json_codec
from homeport.api.responses.tool_names import MAX_GIVEN_CHARS, MAX_MCP_NAME_CHARS
from homeport.api.responses.tool_schema import McpBody, McpFilter, McpRules
from homeport.domain import validation
from homeport.domain.errors import InvalidRequest, excerpt
from homeport.domain.ports.mcp import McpServer, McpTool
from homeport.domain.tool_fields import check_name

MAX_SERVERS = 16
"""The maximum number of servers of one request: their tools are listed one after the other."""
_MAX_FILTER_NAMES = 1024
_MAX_HEADERS = 32
_MAX_HEADER_CHARS = 8192
_MAX_DESCRIPTION_CHARS = 4096
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_OWN_HEADERS = frozenset(
    {
        "connection",
        "content-encoding",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""The headers that belong to the connection itself."""
_REDACTED = "<redacted>"


class _Head(msgspec.Struct):
    """What identifies a declared server."""

    type: str | None = None
    server_label: str | None = None


class ToolFilter:
    """Which of a server's tools something applies to: those with these names, and those that are read-only or not."""

    def __init__(self, names: Sequence[str] | None = None, read_only: bool | None = None) -> None:
        self._names = None if names is None else frozenset(names)
        self._read_only = read_only

    def matches(self, tool: McpTool) -> bool:
        """Whether it applies to a tool. A tool is read-only if its server says so."""
        if self._names is not None and tool.name not in self._names:
            return False
        return self._read_only is None or self._read_only == ((tool.annotations or {}).get("readOnlyHint") is True)


@dataclass(frozen=True)
class McpDeclaration:
    """A server that a request declares. `needs_approval`: whether a call of a tool waits for the caller's approval."""

    server: McpServer
    description: str
    allowed: ToolFilter
    needs_approval: Callable[[McpTool], bool]


def read_declaration(raw: msgspec.Raw, place: str) -> McpDeclaration:
    """Check a declaration and convert it; `place` names it in errors. Raises InvalidRequest naming the field."""
    body = json_codec.decode_part(raw, McpBody, place)
    label = check_name(body.server_label, f"{place}.server_label", MAX_GIVEN_CHARS)
    _refuse_unserved(body, place)
    if body.server_url is None:
        raise validation.missing(f"{place}.server_url")
    validation.check_length(f"{place}.server_description", body.server_description, _MAX_DESCRIPTION_CHARS)
    allowed = ToolFilter()
    if body.allowed_tools is not None:
        allowed = _to_filter(body.allowed_tools, f"{place}.allowed_tools")
    return McpDeclaration(
        McpServer(label, body.server_url, _to_headers(body, place)),
        body.server_description or "",
        allowed,
        _to_approval(body.require_approval, f"{place}.require_approval"),
    )


def check_labels(declared: Iterable[tuple[str, msgspec.Raw]]) -> Collection[str]:
    """Return the labels of the servers among declared tools, given with their places.

    Raises InvalidRequest if two have the same one, and for too many.
    """
    labels: set[str] = set()
    for place, raw in declared:
        head = json_codec.decode_part(raw, _Head, place)
        if head.type != "mcp" or head.server_label is None:
            continue
        if head.server_label in labels:
            raise _invalid(
                f"{place}.server_label", f"each server must have a label of its own: '{excerpt(head.server_label)}'"
            )
        labels.add(head.server_label)
        if len(labels) > MAX_SERVERS:
            raise _invalid("tools", f"at most {MAX_SERVERS} MCP servers are allowed")
    return labels


def check_stored(declared: Iterable[tuple[str, msgspec.Raw]]) -> None:
    """Check declared tools that are stored with their request. Raises InvalidRequest if a server has credentials."""
    for place, raw in declared:
        if json_codec.decode_part(raw, _Head, place).type != "mcp":
            continue
        body = json_codec.decode_part(raw, McpBody, place)
        for name in ("authorization", "headers"):
            if getattr(body, name):
                raise InvalidRequest(
                    f"A background response is stored with its request, and '{place}.{name}' is never stored: leave it "
                    "out, or send the request without 'background'.",
                    param=f"{place}.{name}",
                    code="invalid_parameter_combination",
                )


def to_echo(tool: dict[str, Any]) -> dict[str, Any]:
    """Return a checked declaration as a response shows it: without credentials, and without the path of the URL."""
    shown = {name: value for name, value in tool.items() if name not in ("authorization", "headers")}
    url = urlsplit(tool["server_url"])
    shown["server_url"] = f"{url.scheme}://{url.netloc}"
    if url.path not in ("", "/") or url.query:
        shown["server_url"] += f"/{_REDACTED}"
    shown["headers"] = None
    shown.setdefault("allowed_tools", None)
    shown["require_approval"] = shown.get("require_approval") or "always"
    return shown


def _refuse_unserved(body: McpBody, place: str) -> None:
    if body.allowed_callers is not None and "direct" not in body.allowed_callers:
        raise validation.unsupported_field(
            f"{place}.allowed_callers", "Only the model itself calls tools: 'direct' must be among them."
        )
    if body.defer_loading:
        raise validation.unsupported_field(f"{place}.defer_loading", "The search for tools is not served.")
    for name, what in (("connector_id", "Connectors are services of OpenAI"), ("tunnel_id", "Tunnels are not served")):
        if getattr(body, name) is not None:
            raise validation.unsupported_field(f"{place}.{name}", f"{what}: use 'server_url'.")
    if body.server_url is not None and body.server_url.endswith(_REDACTED):
        raise InvalidRequest(
            f"Invalid '{place}.server_url': responses show a URL without its path. Send the whole URL.",
            param=f"{place}.server_url",
            code="invalid_value",
        )


def _to_headers(body: McpBody, place: str) -> Mapping[str, str]:
    """Return the headers that are sent. Errors repeat no values, which may be credentials."""
    headers = {name.lower(): value for name, value in (body.headers or {}).items()}
    validation.check_entries(f"{place}.headers", headers, _MAX_HEADERS)
    for name, value in headers.items():
        inside = f"{place}.headers.{excerpt(name, 64)}"
        if not _HEADER_NAME.fullmatch(name):
            raise _invalid(inside, "a header's name has only letters, digits and some signs")
        if name in _OWN_HEADERS or name.startswith("proxy-"):
            raise _invalid(inside, "this header belongs to the connection")
        _check_value(value, inside)
    if body.authorization:
        if "authorization" in headers:
            raise InvalidRequest(
                f"Give either '{place}.authorization' or the header of the same name.",
                param=f"{place}.authorization",
                code="mutually_exclusive_parameters",
            )
        _check_value(body.authorization, f"{place}.authorization")
        headers["authorization"] = f"Bearer {body.authorization}"
    return headers


def _check_value(value: str, place: str) -> None:
    if len(value) > _MAX_HEADER_CHARS or not value.isascii() or not value.isprintable() or value != value.strip():
        raise _invalid(place, f"expected at most {_MAX_HEADER_CHARS} visible ASCII characters")


def _to_approval(rules: str | McpRules | None, place: str) -> Callable[[McpTool], bool]:
    """Return which tools need approval: all but those that `never` names and `always` does not."""
    if rules is None or isinstance(rules, str):
        validation.check_choice(place, rules, ("always", "never"))
        return lambda _: rules != "never"
    always = None if rules.always is None else _to_filter(rules.always, f"{place}.always")
    never = None if rules.never is None else _to_filter(rules.never, f"{place}.never")

    def needs_approval(tool: McpTool) -> bool:
        if always is not None and always.matches(tool):
            return True
        return never is None or not never.matches(tool)

    return needs_approval


def _to_filter(value: list[str] | McpFilter, place: str) -> ToolFilter:
    names = value.tool_names if isinstance(value, McpFilter) else value
    inside = f"{place}.tool_names" if isinstance(value, McpFilter) else place
    validation.check_items(inside, names, _MAX_FILTER_NAMES)
    for at, name in enumerate(names or ()):
        validation.check_length(f"{inside}[{at}]", name, MAX_MCP_NAME_CHARS, 1)
    return ToolFilter(names, value.read_only if isinstance(value, McpFilter) else None)


def _invalid(place: str, why: str) -> InvalidRequest:
    return InvalidRequest(f"Invalid '{place}': {why}.", param=place, code="invalid_value")
