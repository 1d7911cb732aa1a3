"""Cases as requests: types, names and values of `enum` become what JSON Schema and OpenAI accept."""

import gzip
from pathlib import Path

import jsonschema
import msgspec
import pytest

from bench.tools import cases
from bench.tools.cases import Case, Function, Schema


@pytest.mark.parametrize(
    ("described", "schema"),
    [
        ({"type": "dict"}, {"type": "object"}),
        ({"type": "float", "description": "a"}, {"type": "number", "description": "a"}),
        ({"type": "tuple", "items": {"type": "float"}}, {"type": "array", "items": {"type": "number"}}),
        ({"type": "any"}, {}),
        ({"type": "any", "description": "a"}, {"description": "a"}),
        ({}, {}),
        ({"type": "string", "optional": "True", "default": "CA"}, {"type": "string", "default": "CA"}),
        ({"type": "string", "format": "date"}, {"type": "string", "format": "date"}),
        (
            {"type": "dict", "properties": {"type": {"type": "dict", "properties": {"x": {"type": "any"}}}}},
            {"type": "object", "properties": {"type": {"type": "object", "properties": {"x": {}}}}},
        ),
        (
            {"type": "array", "items": {"type": "dict", "properties": {"a": {"type": "float"}}, "required": ["a"]}},
            {
                "type": "array",
                "items": {"type": "object", "properties": {"a": {"type": "number"}}, "required": ["a"]},
            },
        ),
    ],
)
def test_types_become_those_of_json_schema_at_any_depth(described: Schema, schema: Schema) -> None:
    """Each type in words of Python becomes its JSON Schema, and the rest stays, but for words that it lacks."""
    assert cases.schema(described) == schema


def test_the_description_is_not_changed() -> None:
    """The converter makes a new schema and leaves the case as it is."""
    described = {"type": "dict", "properties": {"a": {"type": "float", "optional": True}}}
    cases.schema(described)
    assert described == {"type": "dict", "properties": {"a": {"type": "float", "optional": True}}}


@pytest.mark.parametrize(
    ("described", "enum"),
    [
        ({"type": "integer", "enum": [1, "2", 3]}, [1, 3]),
        ({"type": "integer", "enum": [True, 1]}, [1]),
        ({"type": "float", "enum": [1, 2.5]}, [1, 2.5]),
        ({"type": "integer", "enum": ["1", "dontcare"]}, None),
        ({"type": "any", "enum": ["1", 2]}, ["1", 2]),
    ],
)
def test_values_that_could_never_match_are_left_out(described: Schema, enum: list[object] | None) -> None:
    """Values of `enum` that are not of the declared type are left out, and so is an `enum` without any other."""
    assert cases.schema(described).get("enum") == enum


def test_a_tool_has_a_name_that_openai_accepts() -> None:
    """A dot in a function's name becomes an underscore."""
    made = cases.tool(Function("history.get_key_events", "Events.", {"type": "dict", "properties": {}}))
    parameters: Schema = {"type": "object", "properties": {}}
    function = {"name": "history_get_key_events", "description": "Events.", "parameters": parameters}
    assert made == {"type": "function", "function": function}
    jsonschema.Draft202012Validator.check_schema(parameters)


def test_cases_are_read_from_compressed_lines(tmp_path: Path) -> None:
    """A file of JSON lines is read with and without compression, in its order."""
    made = [
        Case(each, [{"role": "user", "content": "Hi"}], [Function("f", "", {"type": "dict"})], [{"f": {"a": [1]}}])
        for each in ("live_simple_1-2-3", "parallel_multiple_7")
    ]
    content = b"\n".join(msgspec.json.encode(case) for case in made)
    (tmp_path / "a.jsonl").write_bytes(content)
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(content))
    assert cases.load(tmp_path / "a.jsonl") == cases.load(tmp_path / "a.jsonl.gz") == made
    assert [case.category for case in made] == ["live_simple", "parallel_multiple"]
