"""Declared tools: every form, and every error with its field."""

from typing import Any

import msgspec
import pytest

from homeport.domain.errors import InvalidRequest
from homeport.domain.tool_fields import FunctionFields, ToolFields, to_functions, to_tools
from homeport.domain.tools import GrammarFormat, Tool

SCHEMA = {"type": "object", "properties": {"b": {"type": "string"}, "a": {"type": "integer"}}, "required": ["a"]}
TEXT = '{"type":"object","properties":{"b":{"type":"string"},"a":{"type":"integer"}},"required":["a"]}'


def function(**fields: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": "f", **fields}}


def custom(**fields: Any) -> dict[str, Any]:
    return {"type": "custom", "custom": {"name": "c", **fields}}


def converted(*tools: Any) -> tuple[Tool, ...]:
    return to_tools(msgspec.convert(tools, list[ToolFields]))


def grammar(**fields: Any) -> dict[str, Any]:
    return custom(format={"type": "grammar", "grammar": fields})


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        (function(), Tool("f", param="tools[0].function")),
        (function(description=None, parameters=None, strict=None), Tool("f", param="tools[0].function")),
        (
            function(description="d", parameters=SCHEMA, strict=True),
            Tool("f", "d", TEXT, is_strict=True, param="tools[0].function"),
        ),
        (function(parameters={}), Tool("f", parameters='{"type":"object"}', param="tools[0].function")),
        (
            function(parameters={"properties": {}}),
            Tool("f", parameters='{"type":"object","properties":{}}', param="tools[0].function"),
        ),
        (function(parameters={"$ref": "#/a"}), Tool("f", parameters='{"$ref":"#/a"}', param="tools[0].function")),
        (custom(), Tool("c", is_custom=True, param="tools[0].custom")),
        (
            custom(description="d", format={"type": "text"}),
            Tool("c", "d", is_custom=True, param="tools[0].custom"),
        ),
        (
            grammar(syntax="lark", definition='start: "a"'),
            Tool(
                "c",
                is_custom=True,
                input=GrammarFormat("lark", 'start: "a"', "tools[0].custom.format.grammar.definition"),
                param="tools[0].custom",
            ),
        ),
        (function(name="A-z_9" + "x" * 59), Tool("A-z_9" + "x" * 59, param="tools[0].function")),
    ],
)
def test_tools_become_values(declared: dict[str, Any], expected: Tool) -> None:
    """Functions and custom tools are converted; the order of a schema's properties is kept."""
    assert converted(declared) == (expected,)


def test_functions_of_2023_become_values() -> None:
    """2023's functions are tools, named by their own field in errors."""
    declared = [FunctionFields(name="f", parameters=SCHEMA), FunctionFields(name="g")]
    assert to_functions(declared) == (Tool("f", parameters=TEXT, param="functions[0]"), Tool("g", param="functions[1]"))


def nested(depth: int) -> dict[str, Any]:
    """Make a schema of this many levels."""
    schema: dict[str, Any] = {}
    for _ in range(depth - 1):
        schema = {"items": schema}
    return schema


WRONG: list[tuple[Any, str, str | None, str]] = [
    ({}, "tools[0].type", "missing_required_parameter", "tools[0].type"),
    ({"type": "web_search"}, "tools[0].type", "invalid_value", "'function', 'custom'"),
    ({"type": "function"}, "tools[0].function", "missing_required_parameter", "Missing"),
    ({"type": "custom"}, "tools[0].custom", "missing_required_parameter", "Missing"),
    (function() | {"custom": {"name": "c"}}, "tools[0].custom", None, "has no 'custom'"),
    (function(name=None), "tools[0].function.name", "missing_required_parameter", "Missing"),
    (function(name=""), "tools[0].function.name", "empty_string", "minimum length 1"),
    (function(name="f" * 65), "tools[0].function.name", "string_above_max_length", "length 65"),
    (function(name="get weather"), "tools[0].function.name", "invalid_value", "^[a-zA-Z0-9_-]+$"),
    (function(name="wetter_für"), "tools[0].function.name", "invalid_value", "pattern"),
    (function(name="f\n"), "tools[0].function.name", "invalid_value", "pattern"),
    (custom(name="a.b"), "tools[0].custom.name", "invalid_value", "pattern"),
    (function(parameters=[]), "tools[0].function.parameters", "invalid_type", "an array"),
    (function(parameters="{}"), "tools[0].function.parameters", "invalid_type", "a string"),
    (function(parameters=True), "tools[0].function.parameters", "invalid_type", "a boolean"),
    (
        function(parameters={"type": "string"}),
        "tools[0].function.parameters",
        "invalid_function_parameters",
        "Invalid schema for function 'f': schema must be a JSON Schema of 'type: \"object\"', got 'type: \"string\"'.",
    ),
    (
        function(parameters={"type": ["object", "null"]}),
        "tools[0].function.parameters",
        "invalid_function_parameters",
        "object",
    ),
    (function(parameters=nested(65)), "tools[0].function.parameters", "invalid_value", "too deeply"),
    (function(parameters={"description": "x" * 1_000_000}), "tools[0].function.parameters", "invalid_value", "large"),
    (custom(format={}), "tools[0].custom.format.type", "missing_required_parameter", "Missing"),
    (custom(format={"type": "json"}), "tools[0].custom.format.type", "invalid_value", "'text', 'grammar'"),
    (custom(format={"type": "grammar"}), "tools[0].custom.format.grammar", "missing_required_parameter", "Missing"),
    (
        custom(format={"type": "text", "grammar": {}}),
        "tools[0].custom.format.grammar",
        None,
        "has no 'grammar'",
    ),
    (grammar(definition="x"), "tools[0].custom.format.grammar.syntax", "missing_required_parameter", "Missing"),
    (grammar(syntax="lark"), "tools[0].custom.format.grammar.definition", "missing_required_parameter", "Missing"),
    (grammar(syntax="gbnf", definition="x"), "tools[0].custom.format.grammar.syntax", "invalid_value", "'regex'"),
    (grammar(syntax="regex", definition=""), "tools[0].custom.format.grammar.definition", "empty_string", "empty"),
    (
        grammar(syntax="regex", definition="x" * 100_001),
        "tools[0].custom.format.grammar.definition",
        "string_above_max_length",
        "too long",
    ),
]


@pytest.mark.parametrize(("declared", "param", "code", "words"), WRONG, ids=[f"{p}-{c}" for _, p, c, _ in WRONG])
def test_a_wrong_tool_is_named_by_its_field(declared: Any, param: str, code: str | None, words: str) -> None:
    """The error has the field, OpenAI's code and a short text."""
    with pytest.raises(InvalidRequest) as found:
        converted(declared)
    assert (found.value.param, found.value.code) == (param, code)
    assert words in found.value.message
    assert len(found.value.message) < 400


def test_a_schema_of_the_greatest_depth_is_accepted() -> None:
    """64 levels are allowed."""
    (tool,) = converted(function(parameters=nested(64)))
    assert (tool.parameters or "").count("{") == 64


def test_names_are_unique() -> None:
    """Two tools of one name are refused, whatever their types."""
    with pytest.raises(InvalidRequest, match="'f' is declared twice") as found:
        converted(function(), custom(name="g"), custom(name="f"))
    assert found.value.param == "tools[2].custom.name"


def test_the_number_and_the_size_of_all_tools_are_bounded() -> None:
    """129 tools are too many, and so are a million characters in several tools."""
    assert len(converted(*(function(name=f"f{at}") for at in range(128)))) == 128
    for declared in (
        [function(name=f"f{at}") for at in range(129)],
        [function(name=f"f{at}", description="x" * 400_000) for at in range(3)],
    ):
        with pytest.raises(InvalidRequest) as found:
            converted(*declared)
        assert found.value.param == "tools"
