"""`tool_choice` of a response: which of the declared tools may or must be called. Knows nothing of the tools' JSON."""

from collections.abc import Collection, Mapping, Sequence

from homeport.api import json_codec
from homeport.api.responses.client_tools import CLIENT_TOOLS
from homeport.api.responses.plan import CallTarget
from homeport.api.responses.tool_schema import AllowedTool, ChoiceBody
from homeport.domain import validation
from homeport.domain.errors import InvalidRequest, excerpt
from homeport.domain.format_fields import check_depth
from homeport.domain.tool_fields import MAX_TOOLS
from homeport.domain.tools import ToolChoice

_MODES = ("none", "auto", "required")
_NAMED = ("function", "custom")
_UNNAMED = (*CLIENT_TOOLS, "image_generation", "file_search")
"""The types whose only tool has the type's name."""
_MCP = "mcp"
_TYPES = (*_NAMED, _MCP, "allowed_tools", *_UNNAMED)
_FIELDS: Mapping[str, frozenset[str]] = {
    "function": frozenset({"name", "namespace"}),
    "custom": frozenset({"name", "namespace"}),
    _MCP: frozenset({"name", "server_label"}),
    "allowed_tools": frozenset({"mode", "tools"}),
}


def to_choice(choice: object, targets: Mapping[str, CallTarget], hidden: Collection[str]) -> ToolChoice:
    """Convert the decoded JSON of `tool_choice`; None: `auto`.

    `targets`: what the names that the model sees are. `hidden`: the types of declared tools that it does not see.
    Raises InvalidRequest naming the field.
    """
    if choice is None or isinstance(choice, str):
        return _to_mode(choice, targets)
    if isinstance(choice, dict | list):
        check_depth(choice, "tool_choice")
    body = json_codec.decode_part(json_codec.encode(choice).decode(), ChoiceBody, "tool_choice")
    if body.type is None:
        raise validation.missing("tool_choice.type")
    validation.check_choice("tool_choice.type", body.type, _TYPES)
    for name in ("name", "namespace", "mode", "tools", "server_label"):
        if getattr(body, name) is not None and name not in _FIELDS.get(body.type, ()):
            raise InvalidRequest(f"A choice of type '{body.type}' has no '{name}'.", param=f"tool_choice.{name}")
    if body.type == "allowed_tools":
        return _to_allowed(body, targets, hidden)
    wanted = AllowedTool(type=body.type, name=body.name, namespace=body.namespace, server_label=body.server_label)
    names = tuple(_names(wanted, targets, "tool_choice"))
    if wanted.type == _MCP and wanted.name is None:
        return ToolChoice("required", names)
    return ToolChoice("named", names[:1])


def _to_mode(choice: str | None, targets: Mapping[str, CallTarget]) -> ToolChoice:
    validation.check_choice("tool_choice", choice, _MODES)
    if choice == "required":
        if not targets:
            raise InvalidRequest(
                "Invalid value for 'tool_choice': 'required' is only allowed when 'tools' has a tool that can be "
                "called.",
                param="tool_choice",
                code="invalid_value",
            )
        return ToolChoice("required")
    return ToolChoice("none") if choice == "none" else ToolChoice()


def _to_allowed(body: ChoiceBody, targets: Mapping[str, CallTarget], hidden: Collection[str]) -> ToolChoice:
    if body.mode is None:
        raise validation.missing("tool_choice.mode")
    validation.check_choice("tool_choice.mode", body.mode, ("auto", "required"))
    if body.tools is None:
        raise validation.missing("tool_choice.tools")
    validation.check_items("tool_choice.tools", body.tools, MAX_TOOLS, 1)
    names: list[str] = []
    for at, each in enumerate(body.tools):
        if each.type not in hidden:
            names.extend(_names(each, targets, f"tool_choice.tools[{at}]"))
    if names:
        return ToolChoice("required" if body.mode == "required" else "auto", tuple(dict.fromkeys(names)))
    return _to_mode("required" if body.mode == "required" else "none", {})


def _names(wanted: AllowedTool, targets: Mapping[str, CallTarget], place: str) -> Sequence[str]:
    """Return what the model calls a tool: one name, or all those of a namespace or server. Raises InvalidRequest."""
    if wanted.type is None:
        raise validation.missing(f"{place}.type")
    validation.check_choice(f"{place}.type", wanted.type, (*_NAMED, "namespace", _MCP, *_UNNAMED))
    if wanted.type in _UNNAMED:
        wanted = AllowedTool(type=wanted.type, name=wanted.type)
    if wanted.type == _MCP:
        if wanted.server_label is None:
            raise validation.missing(f"{place}.server_label")
        wanted = AllowedTool(type=_MCP, name=wanted.name, namespace=wanted.server_label)
    elif wanted.name is None:
        raise validation.missing(f"{place}.name")
    if wanted.type == "namespace":
        found = [name for name, target in targets.items() if target.kind in _NAMED and target.namespace == wanted.name]
    elif wanted.name is None:
        found = [
            name for name, target in targets.items() if target.kind == _MCP and target.namespace == wanted.namespace
        ]
    else:
        found = [name for name, target in targets.items() if _is_wanted(target, wanted)]
        # Without a namespace, a tool outside of namespaces comes first.
        found = sorted(found, key=lambda name: targets[name].namespace is not None)[:1]
    if not found:
        shown = excerpt(wanted.name or wanted.namespace or "")
        raise InvalidRequest(
            f"Invalid value for 'tool_choice': '{shown}' is not found in 'tools'.",
            param="tool_choice",
            code="invalid_value",
        )
    return found


def _is_wanted(target: CallTarget, wanted: AllowedTool) -> bool:
    is_inside = wanted.namespace is None or target.namespace == wanted.namespace
    return target.kind == wanted.type and target.name == wanted.name and is_inside
