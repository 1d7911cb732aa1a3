"""The JSON fields of tools, as chats and training examples declare them, converted to values with all checks.

Errors have OpenAI's texts and name the field. Knows nothing of endpoints or of which tools may be called.
"""

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from homeport.domain import validation
from homeport.domain.errors import InvalidRequest, excerpt
from homeport.domain.format_fields import (
    MAX_JSON_CHARS,
    GrammarFields,
    to_grammar,
    to_schema_text,
    too_large,
)
from homeport.domain.tools import GrammarFormat, Tool

MAX_TOOLS = 128
MAX_NAME_CHARS = 64

_NAME = re.compile(r"[a-zA-Z0-9_-]+")
_COMBINATORS = {"$ref", "allOf", "anyOf", "oneOf"}


class FunctionFields(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A function: of `tools`, or of 2023's `functions`."""

    name: str | None = None
    description: str | None = None
    parameters: Any = None
    strict: bool | None = None


class InputFormatFields(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The form of a custom tool's input."""

    type: str | None = None
    grammar: GrammarFields | None = None


class CustomToolFields(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A tool that takes text."""

    name: str | None = None
    description: str | None = None
    format: InputFormatFields | None = None


class ToolFields(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """One of `tools`."""

    type: str | None = None
    function: FunctionFields | None = None
    custom: CustomToolFields | None = None


def to_tools(fields: Sequence[ToolFields], place: str = "tools") -> tuple[Tool, ...]:
    """Convert `tools`. Raises InvalidRequest naming the field."""
    validation.check_items(place, fields, MAX_TOOLS)
    return check_all([_to_tool(each, f"{place}[{at}]") for at, each in enumerate(fields)])


def to_functions(fields: Sequence[FunctionFields], place: str = "functions") -> tuple[Tool, ...]:
    """Convert 2023's `functions`. Raises InvalidRequest naming the field."""
    validation.check_items(place, fields, MAX_TOOLS)
    return check_all([to_function(each, f"{place}[{at}]") for at, each in enumerate(fields)])


def check_name(name: str | None, place: str, maximum: int = MAX_NAME_CHARS) -> str:
    """Return a name of at most `maximum` letters, digits, `_` and `-`. Raises InvalidRequest naming `place`."""
    if name is None:
        raise validation.missing(place)
    validation.check_length(place, name, maximum, 1)
    if not _NAME.fullmatch(name):
        raise InvalidRequest(
            f"Invalid '{place}': string does not match pattern. Expected a string that matches the pattern "
            "'^[a-zA-Z0-9_-]+$'.",
            param=place,
            code="invalid_value",
        )
    return name


def _to_tool(fields: ToolFields, place: str) -> Tool:
    if fields.type is None:
        raise validation.missing(f"{place}.type")
    validation.check_choice(f"{place}.type", fields.type, ("function", "custom"))
    stray = "custom" if fields.type == "function" else "function"
    if getattr(fields, stray) is not None:
        raise InvalidRequest(f"A tool of type '{fields.type}' has no '{stray}'.", param=f"{place}.{stray}")
    if fields.type == "function":
        if fields.function is None:
            raise validation.missing(f"{place}.function")
        return to_function(fields.function, f"{place}.function")
    if fields.custom is None:
        raise validation.missing(f"{place}.custom")
    return _to_custom(fields.custom, f"{place}.custom")


def to_function(fields: FunctionFields, place: str, schema_name: str = "parameters") -> Tool:
    """Convert a function. Raises InvalidRequest naming the field of `place`, `schema_name` for `parameters`."""
    name = check_name(fields.name, f"{place}.name")
    parameters = None
    if fields.parameters is not None:
        inside = f"{place}.{schema_name}"
        parameters = to_schema_text(_of_objects(fields.parameters, name, inside), inside)
    return Tool(name, fields.description or "", parameters, is_strict=bool(fields.strict), param=place)


def _of_objects(schema: object, name: str, place: str) -> object:
    """Return a schema that describes only objects. Raises InvalidRequest if it describes other values."""
    if not isinstance(schema, dict) or schema.get("type") == "object":
        return schema
    if "type" in schema:
        kind = excerpt(msgspec.json.encode(schema["type"]).decode().strip('"'))
        raise InvalidRequest(
            f"Invalid schema for function '{name}': schema must be a JSON Schema of 'type: \"object\"', got "
            f"'type: \"{kind}\"'.",
            param=place,
            code="invalid_function_parameters",
        )
    return schema if _COMBINATORS & schema.keys() else {"type": "object", **schema}


def _to_custom(fields: CustomToolFields, place: str) -> Tool:
    name = check_name(fields.name, f"{place}.name")
    return Tool(name, fields.description or "", is_custom=True, input=_to_input(fields.format, place), param=place)


def _to_input(fields: InputFormatFields | None, place: str) -> GrammarFormat | None:
    if fields is None:
        return None
    place = f"{place}.format"
    if fields.type is None:
        raise validation.missing(f"{place}.type")
    validation.check_choice(f"{place}.type", fields.type, ("text", "grammar"))
    if fields.type == "text":
        if fields.grammar is not None:
            raise InvalidRequest("A format of type 'text' has no 'grammar'.", param=f"{place}.grammar")
        return None
    if fields.grammar is None:
        raise validation.missing(f"{place}.grammar")
    return to_grammar(fields.grammar, f"{place}.grammar")


def check_all(tools: Sequence[Tool]) -> tuple[Tool, ...]:
    """Return tools of which no two have the same name, and which together are not too large. Raises InvalidRequest."""
    names: set[str] = set()
    size = 0
    for tool in tools:
        if tool.name in names:
            place = f"{tool.param}.name"
            raise InvalidRequest(
                f"Invalid '{place}': each tool must have a name of its own, and '{tool.name}' is declared twice.",
                param=place,
                code="invalid_value",
            )
        names.add(tool.name)
        size += sum(map(len, (tool.description, tool.parameters or "", tool.input.definition if tool.input else "")))
    if size > MAX_JSON_CHARS:
        raise too_large(tools[0].param.partition("[")[0], size)
    return tuple(tools)
