"""The tools of a message and which of them may be called. Anthropic's own tools are refused by name.

Knows no template.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from homeport.api import json_codec
from homeport.api.messages.schema import ToolBody, ToolChoiceBody, ToolType
from homeport.api.responses.tool_names import MAX_GIVEN_CHARS, model_name
from homeport.domain import validation
from homeport.domain.errors import InvalidRequest, excerpt
from homeport.domain.tool_fields import MAX_TOOLS, FunctionFields, check_all, check_name, to_function
from homeport.domain.tools import Tool, ToolChoice, ToolUse

_CHOICES = ("auto", "any", "tool", "none")
_FAMILIES = ("web_search", "web_fetch", "code_execution", "bash", "text_editor", "computer", "memory", "tool_search")
_MAX_EXAMPLES = 64


class DeclaredTools:
    """The tools of a request. `use` None: there are none.

    `given_names`: the names that the caller knows, by those that the model sees, which are shorter.
    """

    def __init__(self, use: ToolUse | None, given_names: Mapping[str, str]) -> None:
        self.use = use
        self.given_names = given_names


def to_tools(fields: Sequence[msgspec.Raw] | None, choice: ToolChoiceBody | None) -> DeclaredTools:
    """Convert the tools and their use. Raises InvalidRequest naming the field."""
    validation.check_items("tools", fields, MAX_TOOLS)
    given = [_decode(each, f"tools[{at}]") for at, each in enumerate(fields or ())]
    tools = check_all([_to_tool(each, f"tools[{at}]") for at, each in enumerate(given)])
    names = {model_name(each.name): each.name for each in given if each.name is not None}
    if choice is not None:
        validation.check_choice("tool_choice.type", choice.type, _CHOICES)
        if not tools and choice.type in ("any", "tool"):
            raise InvalidRequest(
                f"Invalid value for 'tool_choice': '{choice.type}' is only allowed when 'tools' are specified.",
                param="tool_choice",
                code="unsupported_parameter",
            )
    if not tools:
        return DeclaredTools(None, names)
    is_parallel = not (choice and choice.disable_parallel_tool_use)
    return DeclaredTools(ToolUse(tools, _to_choice(choice, names), is_parallel), names)


def _to_choice(choice: ToolChoiceBody | None, names: Mapping[str, str]) -> ToolChoice:
    if choice is None or choice.type == "auto":
        return ToolChoice()
    if choice.type == "none":
        return ToolChoice("none")
    if choice.type == "any":
        return ToolChoice("required")
    if choice.name is None:
        raise validation.missing("tool_choice.name")
    if choice.name not in names.values():
        raise InvalidRequest(
            f"Invalid value for 'tool_choice.name': '{excerpt(choice.name)}' is not found in 'tools'.",
            param="tool_choice.name",
            code="invalid_value",
        )
    return ToolChoice("named", (model_name(choice.name),))


def _decode(raw: msgspec.Raw, place: str) -> ToolBody:
    """Decode a tool. Its type comes first, because other types have other fields."""
    kind = json_codec.decode_part(raw, ToolType, place).type
    if kind not in (None, "custom"):
        raise _foreign(kind or "", place)
    return json_codec.decode_part(raw, ToolBody, place)


def _to_tool(fields: ToolBody, place: str) -> Tool:
    name = check_name(fields.name, f"{place}.name", MAX_GIVEN_CHARS)
    if fields.input_schema is None:
        raise validation.missing(f"{place}.input_schema")
    if any(each != "direct" for each in fields.allowed_callers or ()):
        raise validation.unsupported_field(f"{place}.allowed_callers", "Only 'direct' is served: no code is executed.")
    schema = fields.input_schema
    if fields.input_examples:
        validation.check_items(f"{place}.input_examples", fields.input_examples, _MAX_EXAMPLES)
        schema = _with_examples(schema, fields.input_examples)
    function = FunctionFields(
        name=model_name(name), description=fields.description, parameters=schema, strict=fields.strict
    )
    return to_function(function, place, schema_name="input_schema")


def _with_examples(schema: Any, examples: Sequence[Mapping[str, Any]]) -> Any:
    """Return a schema with examples, which describe nothing and which templates show."""
    return {**schema, "examples": list(examples)} if isinstance(schema, dict) else schema


def _foreign(kind: str, place: str) -> InvalidRequest:
    family = next((each for each in _FAMILIES if kind.startswith(each)), None)
    named = f"Anthropic's tool '{excerpt(kind)}'" if family else f"The tool type '{excerpt(kind)}'"
    return InvalidRequest(
        f"Invalid '{place}.type': {named} is not served. Declare a tool of your own with 'name' and 'input_schema'.",
        param=f"{place}.type",
        code="unsupported_parameter",
    )
