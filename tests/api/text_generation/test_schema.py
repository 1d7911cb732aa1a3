"""The fields of text endpoints that are refused."""

from typing import Any

import pytest

from homeport.api.compatibility import FieldSupport
from homeport.api.compatibility_index import FIELDS
from tests.api.text_generation.calls import post

ASKING: dict[str, Any] = {
    "modalities": {"modalities": ["audio"]},
    "response_format": {"response_format": {"type": "json_object"}},
    "verbosity": {"verbosity": "low"},
    "tools": {"tools": [{"type": "function"}]},
    "functions": {"functions": [{"name": "f"}]},
    "tool_choice": {"tool_choice": "required"},
    "function_call": {"function_call": {"name": "f"}},
}
REFUSED = [
    (endpoint, field.name)
    for endpoint in ("completions", "chat", "edits")
    for field in FIELDS[endpoint]
    if field.support is FieldSupport.REFUSED
]


@pytest.mark.parametrize(("endpoint", "name"), REFUSED)
async def test_a_refused_field_is_refused_by_its_name(endpoint: str, name: str) -> None:
    """A field whose note says that it is refused is a 400 that names it."""
    if name.startswith("messages."):
        changes: dict[str, Any] = {
            "messages": [{"role": "assistant", "content": "x", name.removeprefix("messages."): [1]}]
        }
    else:
        changes = ASKING.get(name, {name: {"any": "thing"}})
    response = await post(endpoint, **changes)
    assert response.status == 400
    assert response.error["param"].replace("[0]", "") == name
