"""The tools of a response: which the model sees, under which names, and what its calls of them are.

Knows nothing of items and of templates. What cannot be served is refused by name.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec
from msgspec import structs

from homeport.api import json_codec
from homeport.api.responses.client_tools import CLIENT_TOOLS, client_tool
from homeport.api.responses.hosted_tools import HostedOffer, HostedTool
from homeport.api.responses.item_checks import check_local
from homeport.api.responses.mcp_declaration import to_echo
from homeport.api.responses.plan import HOSTED_KINDS, CallTarget
from homeport.api.responses.tool_checks import check_callers
from homeport.api.responses.tool_choice import to_choice
from homeport.api.responses.tool_names import MAX_GIVEN_CHARS, hosted_name, model_name
from homeport.api.responses.tool_schema import (
    CustomBody,
    FunctionBody,
    InputFormat,
    NamespaceBody,
    ShellBody,
    ToolHead,
    WebSearchBody,
)
from homeport.domain import validation
from homeport.domain.errors import InvalidRequest
from homeport.domain.format_fields import GrammarFields, check_depth, to_grammar
from homeport.domain.tool_fields import MAX_TOOLS, FunctionFields, check_all, check_name, to_function
from homeport.domain.tools import GrammarFormat, Tool, ToolUse

MAX_MODEL_TOOLS = 512
"""The maximum number of tools that the model sees, those inside namespaces included."""

OFFLINE_SEARCHES = ("web_search", "web_search_2025_08_26", "web_search_preview", "web_search_preview_2025_03_11")
SERVED_HOSTED = ("image_generation", "file_search", "mcp")
TOOL_TYPES = ("function", "custom", "namespace", *CLIENT_TOOLS, *SERVED_HOSTED, "web_search", "web_search_preview")
"""The tool types that are served, in the words of an error."""
UNSERVED_TYPES = frozenset(
    {
        "code_interpreter",
        "computer",
        "computer_use",
        "computer_use_preview",
        "tool_search",
        "programmatic_tool_calling",
    }
)
"""The other tool types of OpenAI's API."""


class ResponseTools(NamedTuple):
    """The tools of a response.

    `use`: what the model sees; None: no tools. `targets`: what a call of each of its names is. `echo`: the JSON of each
    tool as the response returns it. `offers`: those of the hosted tools; `hosted`: what executes the calls of their
    functions, by the names that the model sees.
    """

    use: ToolUse | None
    targets: Mapping[str, CallTarget]
    echo: Sequence[msgspec.Raw]
    offers: Sequence[HostedOffer] = ()
    hosted: Mapping[str, HostedTool] = {}


AdditionalTool = tuple[str, msgspec.Raw]
"""A tool of an item of the input, and what names it in errors."""


@dataclass
class _Offer:
    """What is collected for the model while tools are read."""

    tools: list[Tool] = field(default_factory=list)
    targets: dict[str, CallTarget] = field(default_factory=dict)
    hosted: dict[str, HostedTool] = field(default_factory=dict)

    def add(self, tool: Tool, target: CallTarget) -> None:
        self.tools.append(tool)
        self.targets[tool.name] = target

    def add_hosted(self, offer: HostedOffer) -> None:
        """Add the functions of a hosted tool, under other names if the caller's tools have theirs."""
        for tool, target in offer.functions:
            if tool.name in self.hosted and not tool.param.startswith("tools"):
                continue  # an item of the input declares it again
            is_taken = tool.name in self.targets and tool.name not in self.hosted
            named = structs.replace(tool, name=hosted_name(tool.name)) if is_taken else tool
            self.add(named, target)
            self.hosted[named.name] = offer.tool


def to_tools(
    declared: Sequence[msgspec.Raw],
    tool_choice: object = None,
    parallel_tool_calls: bool | None = None,
    additional: Sequence[AdditionalTool] = (),
    offers: Sequence[HostedOffer] = (),
) -> ResponseTools:
    """Convert the tools of a body, and how they may be used. Raises InvalidRequest naming the field.

    `tool_choice`: its decoded JSON; None: `auto`. `additional`: the tools of the input's items, of which those with a
    name that was declared before are left out. `offers`: those of all hosted tools, in order.
    """
    validation.check_items("tools", declared, MAX_TOOLS)
    offer = _Offer()
    hidden: set[str] = set()
    for at, raw in enumerate(declared):
        _read_tool(raw, f"tools[{at}]", offer, hidden)
    echo = [_echo(raw, f"tools[{at}]") for at, raw in enumerate(declared)]
    for place, raw in additional:
        more = _Offer()
        _read_tool(raw, place, more, hidden)
        for tool in more.tools:
            if tool.name not in offer.targets:
                offer.add(tool, more.targets[tool.name])
    for each in offers:
        offer.add_hosted(each)
    validation.check_items("tools", offer.tools, MAX_MODEL_TOOLS)
    tools = check_all(offer.tools)
    choice = to_choice(tool_choice, offer.targets, hidden)
    use = ToolUse(tools, choice, parallel_tool_calls is not False) if tools else None
    return ResponseTools(use, offer.targets, echo, offers, offer.hosted)


def _read_tool(raw: msgspec.Raw, place: str, offer: _Offer, hidden: set[str]) -> None:
    """Read one tool: what the model sees of it is offered, the type of one that it does not see is `hidden`."""
    head = json_codec.decode_part(raw, ToolHead, place)
    kind = _check_type(head.type, place)
    if kind in OFFLINE_SEARCHES:
        _check_offline(json_codec.decode_part(raw, WebSearchBody, place), place)
        hidden.add(kind)
    elif kind not in HOSTED_KINDS:  # those were read before
        _READERS[kind](raw, place, offer)


def _check_type(kind: str | None, place: str) -> str:
    place = f"{place}.type"
    if kind is None:
        raise validation.missing(place)
    if kind in UNSERVED_TYPES:
        raise validation.unsupported_field(place, f"Tools of type '{kind}' are not served.")
    if kind not in OFFLINE_SEARCHES:
        validation.check_choice(place, kind, TOOL_TYPES)
    return kind


def _check_offline(body: WebSearchBody, place: str) -> None:
    if body.external_web_access is not False:
        raise validation.unsupported_field(
            f"{place}.type",
            f"Tools of type '{body.type}' are served only with 'external_web_access' false: this server does not "
            "search the web.",
        )


def _read_function(raw: msgspec.Raw, place: str, offer: _Offer, namespace: str | None = None) -> None:
    body = json_codec.decode_part(raw, FunctionBody, place)
    name = _check_tool(body, place)
    fields = FunctionFields(
        name=model_name(name, namespace),
        description=body.description,
        parameters=body.parameters,
        strict=body.strict,
    )
    offer.add(to_function(fields, place), CallTarget("function", name, namespace))


def _read_custom(raw: msgspec.Raw, place: str, offer: _Offer, namespace: str | None = None) -> None:
    body = json_codec.decode_part(raw, CustomBody, place)
    name = _check_tool(body, place)
    tool = Tool(
        model_name(name, namespace),
        body.description or "",
        is_custom=True,
        input=_to_input(body.format, f"{place}.format"),
        param=place,
    )
    offer.add(tool, CallTarget("custom", name, namespace))


def _to_input(form: InputFormat | None, place: str) -> GrammarFormat | None:
    if form is None:
        return None
    if form.type is None:
        raise validation.missing(f"{place}.type")
    validation.check_choice(f"{place}.type", form.type, ("text", "grammar"))
    if form.type == "grammar":
        return to_grammar(GrammarFields(syntax=form.syntax, definition=form.definition), place)
    for name in ("syntax", "definition"):
        if getattr(form, name) is not None:
            raise InvalidRequest(f"A format of type 'text' has no '{name}'.", param=f"{place}.{name}")
    return None


def _read_namespace(raw: msgspec.Raw, place: str, offer: _Offer) -> None:
    """Read the tools of a namespace. Its description is that of its first tool too, for models know no namespaces."""
    body = json_codec.decode_part(raw, NamespaceBody, place)
    namespace = check_name(body.name, f"{place}.name", MAX_GIVEN_CHARS)
    check_callers(body, place)
    if body.tools is None:
        raise validation.missing(f"{place}.tools")
    validation.check_items(f"{place}.tools", body.tools, MAX_MODEL_TOOLS, 1)
    first = len(offer.tools)
    for at, each in enumerate(body.tools):
        inside = f"{place}.tools[{at}]"
        kind = json_codec.decode_part(each, ToolHead, inside).type
        if kind is None:
            raise validation.missing(f"{inside}.type")
        validation.check_choice(f"{inside}.type", kind, ("function", "custom"))
        read = _read_function if kind == "function" else _read_custom
        read(each, inside, offer, namespace)
    if body.description:
        tool = offer.tools[first]
        description = f"{namespace}: {body.description}\n\n{tool.description}".rstrip()
        offer.tools[first] = structs.replace(tool, description=description)


def _read_client_tool(raw: msgspec.Raw, place: str, offer: _Offer) -> None:
    body = json_codec.decode_part(raw, ShellBody, place)
    check_callers(body, place)
    if body.environment is not None:
        if body.type != "shell":
            raise InvalidRequest(
                f"A tool of type '{body.type}' has no 'environment'.",
                param=f"{place}.environment",
                code="unknown_parameter",
            )
        check_local(body.environment.type, f"{place}.environment")
    kind, tool = client_tool(body.type, place)
    offer.add(tool, CallTarget(kind, body.type))


_READERS = {
    "function": _read_function,
    "custom": _read_custom,
    "namespace": _read_namespace,
    **dict.fromkeys(CLIENT_TOOLS, _read_client_tool),
}


def _check_tool(body: FunctionBody | CustomBody, place: str) -> str:
    """Check the fields of functions and custom tools, and return the name."""
    check_callers(body, place)
    if body.defer_loading:
        raise validation.unsupported_field(f"{place}.defer_loading", "The search for tools is not served.")
    return check_name(body.name, f"{place}.name", MAX_GIVEN_CHARS)


def _echo(raw: msgspec.Raw, place: str) -> msgspec.Raw:
    """Return a tool with the defaults of OpenAI's API, encoded once for all events of the response."""
    tool = json_codec.decode_part(raw, dict[str, Any], place)
    check_depth(tool, place)
    if tool["type"] == "mcp":
        return msgspec.Raw(json_codec.encode(to_echo(tool)))
    _add_defaults(tool)
    for each in tool.get("tools") or ():
        _add_defaults(each)
    return msgspec.Raw(json_codec.encode(tool))


def _add_defaults(tool: dict[str, Any]) -> None:
    if tool["type"] == "function":
        for name, default in (("description", None), ("parameters", None), ("strict", True)):
            tool.setdefault(name, default)
    elif tool["type"] == "custom":
        tool["format"] = tool.get("format") or {"type": "text"}
    elif tool["type"] == "namespace":
        tool["description"] = tool.get("description") or ""
