"""The tools of a chat request and which of them may be called, in today's fields and in 2023's. Knows no template."""

from homeport.api.chat.schema import AllowedToolBody, AllowedToolsBody, ChatBody, NamedToolBody, ToolChoiceBody
from homeport.domain import validation
from homeport.domain.errors import InvalidRequest, excerpt
from homeport.domain.tool_fields import to_functions, to_tools
from homeport.domain.tools import Tool, ToolChoice, ToolUse

_MODES = ("none", "auto", "required")
_CHOICE_TYPES = ("function", "custom", "allowed_tools")
_NO_CHOICE = (None, "none", "auto")


def to_tool_use(body: ChatBody) -> ToolUse | None:
    """Convert the tools and their use; None without tools. Raises InvalidRequest naming the field."""
    tools, functions = to_tools(body.tools or ()), to_functions(body.functions or ())
    if tools and functions:
        raise InvalidRequest(
            "Give either 'tools' or 'functions', which are their form of 2023.",
            param="functions",
            code="invalid_parameter_combination",
        )
    if not tools:
        _refuse_choice("tool_choice", body.tool_choice, "tools")
    if not functions:
        _refuse_choice("function_call", body.function_call, "functions")
    if tools:
        return ToolUse(tools, _to_choice(body.tool_choice, tools), body.parallel_tool_calls is not False)
    if functions:
        return ToolUse(functions, _to_function_choice(body.function_call, functions), is_parallel=False)
    return None


def _refuse_choice(name: str, choice: str | ToolChoiceBody | NamedToolBody | None, list_name: str) -> None:
    if choice not in _NO_CHOICE:
        raise InvalidRequest(
            f"Invalid value for '{name}': '{name}' is only allowed when '{list_name}' are specified.",
            param=name,
            code="unsupported_parameter",
        )


def _to_choice(choice: str | ToolChoiceBody | None, tools: tuple[Tool, ...]) -> ToolChoice:
    if choice is None or isinstance(choice, str):
        return _to_mode("tool_choice", choice, _MODES)
    if choice.type is None:
        raise validation.missing("tool_choice.type")
    validation.check_choice("tool_choice.type", choice.type, _CHOICE_TYPES)
    for name in _CHOICE_TYPES:
        value = getattr(choice, name)
        if name == choice.type and value is None:
            raise validation.missing(f"tool_choice.{name}")
        if name != choice.type and value is not None:
            raise InvalidRequest(f"A choice of type '{choice.type}' has no '{name}'.", param=f"tool_choice.{name}")
    if choice.allowed_tools is not None:
        return _to_allowed(choice.allowed_tools, tools)
    named = choice.function or choice.custom or NamedToolBody()
    name = _check_declared(named.name, tools, f"tool_choice.{choice.type}.name", is_custom=choice.type == "custom")
    return ToolChoice("named", (name,))


def _to_allowed(allowed: AllowedToolsBody, tools: tuple[Tool, ...]) -> ToolChoice:
    place = "tool_choice.allowed_tools"
    if allowed.mode is None:
        raise validation.missing(f"{place}.mode")
    mode = _to_mode(f"{place}.mode", allowed.mode, ("auto", "required")).mode
    if allowed.tools is None:
        raise validation.missing(f"{place}.tools")
    validation.check_items(f"{place}.tools", allowed.tools, len(tools), 1)
    names = [_allowed_name(each, tools, f"{place}.tools[{at}]") for at, each in enumerate(allowed.tools)]
    return ToolChoice(mode, tuple(dict.fromkeys(names)))


def _allowed_name(allowed: AllowedToolBody, tools: tuple[Tool, ...], place: str) -> str:
    if allowed.type is None:
        raise validation.missing(f"{place}.type")
    validation.check_choice(f"{place}.type", allowed.type, ("function", "custom"))
    place = f"{place}.{allowed.type}"
    declaration = getattr(allowed, allowed.type)
    if not isinstance(declaration, dict):
        raise validation.missing(place)
    name = declaration.get("name")
    return _check_declared(
        name if isinstance(name, str) else None, tools, f"{place}.name", is_custom=allowed.type == "custom"
    )


def _to_function_choice(choice: str | NamedToolBody | None, functions: tuple[Tool, ...]) -> ToolChoice:
    if choice is None or isinstance(choice, str):
        return _to_mode("function_call", choice, ("none", "auto"))
    return ToolChoice("named", (_check_declared(choice.name, functions, "function_call.name", is_custom=False),))


def _to_mode(place: str, choice: str | None, known: tuple[str, ...]) -> ToolChoice:
    validation.check_choice(place, choice, known)
    if choice == "none":
        return ToolChoice("none")
    return ToolChoice("required") if choice == "required" else ToolChoice()


def _check_declared(name: str | None, tools: tuple[Tool, ...], place: str, *, is_custom: bool) -> str:
    if name is None:
        raise validation.missing(place)
    if not any(tool.name == name and tool.is_custom == is_custom for tool in tools):
        choice, _, _ = place.partition(".")
        source = "tools" if choice == "tool_choice" else "functions"
        raise InvalidRequest(
            f"Invalid value for '{choice}': '{excerpt(name)}' is not found in '{source}'.",
            param=choice,
            code="invalid_value",
        )
    return name
