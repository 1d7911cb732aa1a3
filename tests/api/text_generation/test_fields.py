"""The table of fields, held against the published specs and against what the endpoints take."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from homeport.api.chat.messages import ChatMessageParam
from homeport.api.chat.routes import ChatBody
from homeport.api.compatibility import FieldSupport
from homeport.api.completions.routes import CompletionBody
from homeport.api.edits.routes import EditBody
from homeport.api.text_generation.fields import FIELDS
from homeport.api.text_generation.schema import StreamOptions
from tests.api.text_generation.calls import post

SPECS: dict[str, dict[str, dict[str, Any]]] = json.loads(
    (Path(__file__).parents[2] / "contract" / "data" / "fields.json").read_text("utf-8")
)
STRUCTS: dict[str, type[msgspec.Struct]] = {
    "completions": CompletionBody,
    "chat": ChatBody,
    "edits": EditBody,
}
INNER: dict[str, type[msgspec.Struct]] = {"stream_options": StreamOptions, "messages": ChatMessageParam}


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("endpoint", FIELDS)
def test_every_published_field_is_decided(spec: str, endpoint: str) -> None:
    """No property of either generation of the spec is missing from the table."""
    decided = {field.name for field in FIELDS[endpoint]}
    assert set(SPECS[spec].get(endpoint, {})) <= decided


@pytest.mark.parametrize("endpoint", FIELDS)
def test_the_table_and_the_structs_agree(endpoint: str) -> None:
    """Every field of a body is in the table, once, and the other way round."""
    names = [field.name for field in FIELDS[endpoint]]
    taken = list(STRUCTS[endpoint].__struct_fields__)
    taken += [f"{outer}.{name}" for outer in INNER if outer in taken for name in INNER[outer].__struct_fields__]
    assert sorted(names) == sorted(taken)


ASKING: dict[str, Any] = {
    "modalities": {"modalities": ["audio"]},
    "response_format": {"response_format": {"type": "json_object"}},
    "store": {"store": True},
    "verbosity": {"verbosity": "low"},
    "tools": {"tools": [{"type": "function"}]},
    "functions": {"functions": [{"name": "f"}]},
    "tool_choice": {"tool_choice": "required"},
    "function_call": {"function_call": {"name": "f"}},
}
REFUSED = [
    (endpoint, field.name) for endpoint in FIELDS for field in FIELDS[endpoint] if field.support is FieldSupport.REFUSED
]


@pytest.mark.parametrize(("endpoint", "name"), REFUSED)
async def test_a_refused_field_is_refused_by_its_name(endpoint: str, name: str) -> None:
    """What the table calls refused is a 400 that names the field."""
    if name.startswith("messages."):
        changes: dict[str, Any] = {
            "messages": [{"role": "assistant", "content": "x", name.removeprefix("messages."): [1]}]
        }
    else:
        changes = ASKING.get(name, {name: {"any": "thing"}})
    said = await post(endpoint, **changes)
    assert said.status == 400
    assert said.error["param"].replace("[0]", "") == name
