"""Schemas of tools' arguments are closed where JSON Schema leaves them open."""

import json
from typing import Any

import pytest

from homeport.engines.text.answers.declared_arguments import only_declared

CITY: dict[str, Any] = {"type": "object", "properties": {"city": {"type": "string"}}}
CLOSED = {**CITY, "additionalProperties": False}


def of(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


def test_declared_objects_are_closed_at_every_depth() -> None:
    """Objects with properties are closed: the arguments, those within properties and items, and definitions."""
    schema = {**of(a=CITY, b={"items": CITY}, c={"anyOf": [{"$ref": "#/$defs/d"}, {}]}), "$defs": {"d": CITY}}
    before = json.dumps(schema)
    closed = {**of(a=CLOSED, b={"items": CLOSED}, c={"anyOf": [{"$ref": "#/$defs/d"}, {}]}), "$defs": {"d": CLOSED}}
    assert only_declared(schema) == {**closed, "additionalProperties": False}
    assert json.dumps(schema) == before


def test_a_tool_without_properties_has_no_arguments() -> None:
    """Empty properties close the arguments; objects within them and arguments without properties remain open."""
    assert only_declared({"properties": {}}) == {"properties": {}, "additionalProperties": False}
    assert only_declared({"type": "object"}) == {"type": "object"}
    inner = {"type": "object", "properties": {}}
    assert only_declared(of(a=inner))["properties"]["a"] == inner


@pytest.mark.parametrize(
    "schema",
    [
        {**CITY, "additionalProperties": True},
        {**CITY, "additionalProperties": {"type": "string"}},
        {**CITY, "patternProperties": {"^x": True}},
        {**CITY, "required": ["other"]},
        {**CITY, "minProperties": 2},
        {**CITY, "allOf": [of(other=True)]},
        {"anyOf": [CITY, of(other=True)]},
        {"oneOf": [CITY, of(city=True)]},
        {"$ref": "#/$defs/a", "$defs": {"a": CITY}},
        {**of(a={"oneOf": [{"$ref": "#"}, of(a=True, b=True)]})},
    ],
)
def test_what_describes_other_properties_remains_open(schema: dict[str, Any]) -> None:
    """A schema remains as it is if it needs or describes undeclared properties, here or in another part."""
    assert only_declared(schema) == schema


def test_definitions_that_are_combined_remain_open() -> None:
    """A definition that may be joined with another, or exclude it, is not closed; the arguments around it are."""
    schema = {**of(a={"oneOf": [{"$ref": "#/$defs/a"}, {"type": "null"}]}), "$defs": {"a": CITY}}
    assert only_declared(schema) == {**schema, "additionalProperties": False}
