"""`response_format`: its types, and errors that name the field."""

from typing import Any

import pytest

from homeport.domain.tools import JsonFormat, OutputFormat
from tests.api.text_generation.calls import post, sent_request

SCHEMA = {"properties": {"b": {"type": "string"}, "a": {}}, "type": "object"}
TEXT = '{"properties":{"b":{"type":"string"},"a":{}},"type":"object"}'
PLACE = "response_format.json_schema"


def json_schema(**fields: Any) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": fields}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, None),
        ({"type": "text"}, None),
        ({"type": "json_object"}, JsonFormat()),
        (json_schema(name="n", schema=SCHEMA), JsonFormat(TEXT, f"{PLACE}.schema")),
        (json_schema(name="n", schema=SCHEMA, strict=True, description="d"), JsonFormat(TEXT, f"{PLACE}.schema")),
        (
            json_schema(name="n", schema={"type": "array"}, strict=False),
            JsonFormat('{"type":"array"}', f"{PLACE}.schema"),
        ),
    ],
)
async def test_a_format_reaches_the_worker(given: Any, expected: OutputFormat | None) -> None:
    """The schema is kept with the order of its properties; text binds nothing."""
    assert (await sent_request("chat", response_format=given)).output_format == expected


@pytest.mark.parametrize(
    ("given", "param", "words"),
    [
        ({"type": "xml"}, "response_format.type", "'text', 'json_object', 'json_schema'"),
        ({"type": "grammar"}, "response_format.type", "Supported values"),
        ({"type": "json_schema"}, PLACE, "Missing"),
        ({"type": "json_object", "json_schema": {"name": "n"}}, PLACE, "has no 'json_schema'"),
        (json_schema(schema=SCHEMA), f"{PLACE}.name", "Missing"),
        (json_schema(name="a b", schema=SCHEMA), f"{PLACE}.name", "pattern"),
        (json_schema(name="n" * 65, schema=SCHEMA), f"{PLACE}.name", "maximum length 64"),
        (json_schema(name="n"), f"{PLACE}.schema", "Missing"),
        (json_schema(name="n", schema=True), f"{PLACE}.schema", "expected an object, but got a boolean"),
        (json_schema(name="n", schema=[]), f"{PLACE}.schema", "an array"),
        (json_schema(name="n", schema={"description": "x" * 1_000_000}), f"{PLACE}.schema", "too large"),
        (json_schema(name="n", schema=SCHEMA, mood=1), f"{PLACE}.mood", "Unrecognized"),
    ],
)
async def test_a_wrong_format_is_refused_by_name(given: Any, param: str, words: str) -> None:
    """The error names the field."""
    response = await post("chat", response_format=given)
    assert (response.status, response.error["param"]) == (400, param)
    assert words in response.error["message"]


async def test_only_one_field_binds_the_text() -> None:
    """A response format and an extension together are refused; a format of type text binds nothing."""
    response = await post("chat", response_format={"type": "json_object"}, guided_regex="a")
    assert (response.status, response.error["param"]) == (400, "guided_regex")
    assert (await post("chat", response_format={"type": "text"}, guided_regex="a")).status == 200
